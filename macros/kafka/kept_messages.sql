{#- Return for how many hours of Kafka's time RisingWave keeps messages: retention +
    attribution window + 5 minutes, rounded up. Events are kept for the retention,
    clicks for the window longer, and an event's time may be up to 5 minutes after its
    message's Kafka time. -#}
{% macro hours_of_messages() %}
    {% set seconds = seconds_of('retention') + seconds_of('attribution_window') %}
    {{ return((seconds + 300 + 3599) // 3600) }}
{% endmacro %}


{#- Select the latest message of each key from a table with a topic's messages, and
    every message without a key. Tombstones are included.

    The latest message is the one with the latest Kafka time, not the largest offset: if
    somebody adds partitions to a topic, messages of one key may be in two of them.
    Within a partition, Kafka's timestamps never decrease if Kafka sets them
    (`message.timestamp.type=LogAppendTime`). -#}
{% macro kept_messages(relation) -%}
    select event_key, payload, kafka_partition, kafka_offset, kafka_time
    from (
        select
            event_key,
            payload,
            kafka_partition::integer as kafka_partition,
            kafka_offset::bigint as kafka_offset,
            kafka_time,
            row_number() over (
                partition by
                    event_key,
                    case
                        when event_key is null
                            then kafka_partition || '/' || kafka_offset
                    end
                order by
                    kafka_time desc,
                    kafka_partition::integer desc,
                    kafka_offset::bigint desc
            ) as recency
        from {{ relation }}
        where kafka_time > now() - interval '{{ hours_of_messages() }} hours'
    ) as ranked
    where recency = 1
{%- endmacro %}
