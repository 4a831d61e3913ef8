{#- Select how far the engine has read each topic: topic, newest_kafka_time,
    lag_messages, freshness_seconds, lost_messages. A value is null if the engine can't
    know it. -#}
{% macro kafka_progress() %}
    {{- adapter.dispatch('kafka_progress')() -}}
{% endmacro %}

{#- If the connector has read everything, readers see all messages that Kafka had at
    `checked_at`, when the connector last compared. Otherwise they may lack any message
    that is newer than the newest one that they see. -#}
{% macro default__kafka_progress() -%}
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

{#- Materialize answers a query as of a time at which its sources are complete: the
    result includes all messages that Kafka had then, and none that came later. -#}
{% macro materialize__kafka_progress() -%}
    {{ newest_messages(
        "greatest(extract(epoch from now()) - mz_now()::text::numeric / 1000, 0)"
    ) }}
{%- endmacro %}

{% macro risingwave__kafka_progress() -%}
    {{ newest_messages('null::numeric') }}
{%- endmacro %}

{#- `newest_kafka_time` is only exact to the minute: for more, the engine would have to
    keep the time of every message. -#}
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
