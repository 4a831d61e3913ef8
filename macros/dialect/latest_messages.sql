{#- The latest message of each key, its payload read as JSON where it is JSON. A
    query of event_key, payload, document, kafka_partition, kafka_offset, kafka_time:
    the first two as they came, for bytes_as_text(). -#}
{% macro latest_messages(relation) %}
    {{- adapter.dispatch('latest_messages')(relation) -}}
{% endmacro %}

{% macro postgres__latest_messages(relation) -%}
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

{#- What fails is null there, in what is kept up to date. Its cast takes more for space
    around the document than JSON does. -#}
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
