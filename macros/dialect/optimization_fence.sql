{#- Ends a CTE whose expressions are used more than once further down. PostgreSQL
    would compute them for every use; the streaming engines share them by themselves.
    `as materialized` would do as well, and costs a fifth more. -#}
{% macro optimization_fence() %}
    {{- adapter.dispatch('optimization_fence')() -}}
{% endmacro %}

{% macro postgres__optimization_fence() -%} offset 0 {%- endmacro %}

{% macro materialize__optimization_fence() -%}{%- endmacro %}

{% macro risingwave__optimization_fence() -%}
    {{ materialize__optimization_fence() }}
{%- endmacro %}
