{#- Return the body of a model that holds a topic's messages, with the columns
    event_key, payload, kafka_partition, kafka_offset and kafka_time. On PostgreSQL and
    Materialize the relation holds the latest message of each key, on RisingWave every
    message. -#}
{% macro kafka_source(topic) %}
    {{- adapter.dispatch('kafka_source')(topic) -}}
{% endmacro %}

{#- A message without a key replaces no other: its partition and offset identify it.
    Such messages are few, so the index only covers them. -#}
{% macro default__kafka_source(topic) -%}
    event_key bytea,
    payload bytea not null,
    kafka_partition integer not null,
    kafka_offset bigint not null,
    kafka_time timestamptz not null,
    exclude (kafka_partition with =, kafka_offset with =) where (event_key is null)
{%- endmacro %}

{#- Bytes can't fail to decode, and `rejected_events` shows a rejected message as it was
    sent. -#}
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

{#- Keep messages for an hour longer than kept_messages() reads them. Don't indent the
    lines of kafka_options(): a certificate among them (PEM) would no longer be
    valid. -#}
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
