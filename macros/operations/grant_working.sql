{#- Give each worker's role the privileges that its work on a relation needs, and no
    others. This is a post-hook of every model that a worker reads or writes. -#}
{% macro grant_working() %}
    {%- if execute -%}{{- adapter.dispatch('grant_working')() -}}{%- endif -%}
{% endmacro %}

{#- The connector can write payloads but not read them. No other worker can write
    messages. -#}
{% macro default__grant_working() %}
{% set messages = {
    'connector': [
        'select (ctid, event_key, kafka_partition, kafka_offset, kafka_time)',
        'insert',
        'update (payload, kafka_partition, kafka_offset, kafka_time)',
        'delete',
    ],
    'expire': ['select (event_key, kafka_time)', 'delete'],
} %}
{% set all = ['select', 'insert', 'update', 'delete'] %}
{% set work = {
    'raw_clicks': {'raw_clicks': messages},
    'raw_purchases': {'raw_purchases': messages},
    'kafka_offsets': {'kafka_offsets': {'connector': all}},
    'kafka_tombstones': {'kafka_tombstones': {'connector': all}},
    'expired_events': {'expired_events': {'expire': ['select']}},
    'checkouts_topic': {
        'checkouts_topic': {'publisher': ['select']},
        'checkouts_changes': {'publisher': ['select', 'insert', 'delete']},
        'checkouts_published': {'publisher': all},
    },
}.get(this.identifier, {}) %}
{% for relation, privileges in work.items() %}
{% for worker, granted in privileges.items() if has_role(role_of(worker)) %}
grant {{ granted | join(', ') }}
on {{ adapter.quote(this.schema) }}.{{ adapter.quote(relation) }}
to {{ adapter.quote(role_of(worker)) }};
{% endfor %}
{% endfor %}
{% endmacro %}

{% macro materialize__grant_working() %}{% endmacro %}

{% macro risingwave__grant_working() %}{% endmacro %}

{% macro has_role(name) %}
    {{- return(run_query("select 1 from pg_roles where rolname = '" ~ name ~ "'").rows
        | length > 0) -}}
{% endmacro %}
