{#- How far each topic has been read: topic, newest_kafka_time, lag_messages,
    freshness_seconds; null where the engine can't know. -#}
{% macro kafka_progress() %}
    {{- adapter.dispatch('kafka_progress')() -}}
{% endmacro %}

{#- What Kafka held at the last comparison is visible, or else what is newer than the
    newest visible message is not. -#}
{% macro postgres__kafka_progress() -%}
    select
        topic,
        max(newest_kafka_time) as newest_kafka_time,
        sum(high_watermark - next_offset)::bigint as lag_messages,
        extract(epoch from now() - min(
            case
                when next_offset >= high_watermark then checked_at
                else coalesce(newest_kafka_time, checked_at)
            end
        )) as freshness_seconds
    from {{ ref('kafka_offsets') }}
    group by topic
{%- endmacro %}

{% macro materialize__kafka_progress() -%}
    select
        'clicks' as topic,
        max(kafka_time) as newest_kafka_time,
        null::bigint as lag_messages,
        null::numeric as freshness_seconds
    from {{ ref('typed_clicks') }}
    union all
    select
        'purchases' as topic,
        max(kafka_time) as newest_kafka_time,
        null::bigint as lag_messages,
        null::numeric as freshness_seconds
    from {{ ref('checked_purchases') }}
{%- endmacro %}

{% macro risingwave__kafka_progress() -%}
    {{ materialize__kafka_progress() }}
{%- endmacro %}
