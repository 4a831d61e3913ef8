{#- Select one row with the engine's name and version. -#}
{% macro engine_version() %}
    {{- adapter.dispatch('engine_version')() -}}
{% endmacro %}

{% macro default__engine_version() -%}
    select
        'PostgreSQL' as engine,
        current_setting('server_version') as version
{%- endmacro %}

{% macro materialize__engine_version() -%}
    select
        'Materialize' as engine,
        mz_version() as version
{%- endmacro %}

{#- version() returns, for example, `PostgreSQL-13.14.0-RisingWave-2.8.4 (…)`, with a
    hash in the brackets. -#}
{% macro risingwave__engine_version() -%}
    select
        'RisingWave' as engine,
        split_part(split_part(version(), 'RisingWave-', 2), ' ', 1) as version
{%- endmacro %}
