{#- Select the latest message of each key: event_key, payload, document,
    kafka_partition, kafka_offset, kafka_time. `document` is the payload as JSON. It is
    null if the payload isn't JSON, and on the streaming engines also if it is JSON but
    no object. `event_key` and `payload` are bytes, which bytes_as_text() makes
    readable. -#}
{% macro latest_messages(relation) %}
    {{- adapter.dispatch('latest_messages')(relation) -}}
{% endmacro %}

{% macro default__latest_messages(relation) -%}
    select
        event_key,
        payload,
        {{ maintenance_schema() }}.document(payload) as document,
        kafka_partition,
        kafka_offset,
        kafka_time
    from {{ relation }}
{%- endmacro %}

{% macro materialize__latest_messages(relation) -%}
    {{ messages_read_as_json(relation) }}
{%- endmacro %}

{#- In a materialized view of RisingWave, an expression that fails is null. Its cast to
    jsonb takes other characters than JSON's for space, so patterns check both ends of
    the object. They also refuse \u0000, which PostgreSQL's jsonb can't hold. -#}
{% macro risingwave__latest_messages(relation) -%}
    select
        event_key,
        payload,
        case
            when convert_from(payload, 'utf8') ~ '^[ \t\n\r]*[{]'
                and convert_from(payload, 'utf8') ~ '[}][ \t\n\r]*$'
                and convert_from(payload, 'utf8') !~ '(^|[^\\])(\\\\)*\\u0000'
                then convert_from(payload, 'utf8')::jsonb
        end as document,
        kafka_partition,
        kafka_offset,
        kafka_time
    from (
        {{ kept_messages(relation) | indent(4) }}
    ) as latest
    where payload is not null
{%- endmacro %}
