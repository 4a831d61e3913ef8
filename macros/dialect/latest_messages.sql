{#- The latest message of each key, its payload read as JSON where it is JSON. A
    query of event_key, payload, document, kafka_partition, kafka_offset, kafka_time:
    the first two as they came, for text_of(). -#}
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

{% macro risingwave__latest_messages(relation) -%}
    select
        event_key,
        payload,
        case
            when convert_from(payload, 'utf8') !~ '(^|[^\\])(\\\\)*\\u0000'
                then convert_from(payload, 'utf8')::jsonb
        end as document,
        kafka_partition::integer as kafka_partition,
        kafka_offset,
        kafka_time
    from (
        select event_key, payload, kafka_partition, kafka_offset, kafka_time
        from (
            select
                event_key,
                payload,
                kafka_partition,
                kafka_offset::bigint as kafka_offset,
                kafka_time,
                row_number() over (
                    partition by event_key order by kafka_offset::bigint desc
                ) as recency
            from {{ relation }}
            where kafka_time > now() - interval '49 hours'
        ) as ranked
        where recency = 1
    ) as latest
    where payload is not null
{%- endmacro %}
