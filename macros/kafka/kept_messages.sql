{#- How long RisingWave keeps messages, in hours of Kafka's time: all that the retention
    of events may yet need, who are at most 5 minutes ahead of Kafka's time, and clicks
    that long and the window behind purchases. -#}
{% macro hours_of_messages() %}
    {% set seconds = seconds_of('retention') + seconds_of('attribution_window') %}
    {{ return((seconds + 300 + 3599) // 3600) }}
{% endmacro %}


{#- A query of the messages that a table has of a topic: the latest of each key, each
    of those without one; tombstones too. The latest is the one that Kafka stamped last:
    partitions may have been added to the topic, and a key be in two of them. In one
    partition stamps rise with the offsets where Kafka makes them. -#}
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
