{#- What an engine needs before the first model: runs at the start of every command. -#}
{% macro prepare_engine() %}
    {{- adapter.dispatch('prepare_engine')() -}}
{% endmacro %}

{% macro postgres__prepare_engine() %}
    {{- prepare_maintenance() }}
    {{- prepare_reader() -}}
{% endmacro %}

{% macro materialize__prepare_engine() %}
    create connection if not exists kafka to kafka (
        broker '{{ kafka_bootstrap_servers() }}', security protocol = 'PLAINTEXT'
    )
    {%- do prepare_reader() -%}
{% endmacro %}

{% macro risingwave__prepare_engine() %}
    create schema if not exists {{ target.schema }}
    {%- do prepare_reader() -%}
{% endmacro %}
