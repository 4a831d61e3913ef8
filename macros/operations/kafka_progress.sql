{#- How far each topic has been read: topic, newest_kafka_time, lag_messages,
    freshness_seconds, lost_messages; null where the engine can't know. -#}
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
        )) as freshness_seconds,
        coalesce(sum(lost_messages), 0)::bigint as lost_messages
    from {{ ref('kafka_offsets') }}
    group by topic
{%- endmacro %}

{#- A query's time is one up to which the sources are complete: what Kafka held then is
    in the answer, and what came later is not. -#}
{% macro materialize__kafka_progress() -%}
    {{ newest_messages(
        "greatest(extract(epoch from now()) - mz_now()::text::numeric / 1000, 0)"
    ) }}
{%- endmacro %}

{% macro risingwave__kafka_progress() -%}
    {{ newest_messages('null::numeric') }}
{%- endmacro %}

{#- By the minute: to the millisecond it would take the time of each message kept. -#}
{% macro newest_messages(freshness) -%}
    select
        topic,
        max(minute) as newest_kafka_time,
        null::bigint as lag_messages,
        {{ freshness }} as freshness_seconds,
        null::bigint as lost_messages
    from {{ ref('minute_messages') }}
    group by topic
{%- endmacro %}
