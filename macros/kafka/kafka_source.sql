{#- The body of a model that holds a topic message by message, the latest of each
    key: event_key, the payload, kafka_partition, kafka_offset, kafka_time. -#}
{% macro kafka_source(topic) %}
    {{- adapter.dispatch('kafka_source')(topic) -}}
{% endmacro %}

{#- Of messages without a key, which are few, each is one: their place alone needs an
    index. -#}
{% macro postgres__kafka_source(topic) -%}
    event_key bytea,
    payload bytea not null,
    kafka_partition integer not null,
    kafka_offset bigint not null,
    kafka_time timestamptz not null,
    exclude (kafka_partition with =, kafka_offset with =) where (event_key is null)
{%- endmacro %}

{#- Bytes can't fail to decode, and are what is stored of a rejected message. -#}
{% macro materialize__kafka_source(topic) -%}
    from kafka connection {{ kafka_connection() }} (topic '{{ kafka_topic(topic) }}')
    key format bytes
    value format bytes
    include
        key as event_key,
        partition as kafka_partition,
        offset as kafka_offset,
        timestamp as kafka_time
    envelope upsert
{%- endmacro %}

{#- All messages, kept an hour longer than they are read. A certificate among the
    options would not be one with its lines indented. -#}
{% macro risingwave__kafka_source(topic) -%}
    (
        payload bytea,
        primary key (kafka_partition, kafka_offset)
    ) append only
    include key as event_key
    include partition as kafka_partition
    include offset as kafka_offset
    include timestamp as kafka_time
    with (
        {{ kafka_options(topic) }},
        scan.startup.mode = 'earliest',
        retention_seconds = {{ 3600 * (hours_of_messages() + 1) }}
    ) format plain encode bytes
{%- endmacro %}
