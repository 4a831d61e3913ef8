{#- Ends a CTE whose expressions are used more than once further down. PostgreSQL
    would compute them for every use; the streaming engines share them by themselves.
    `as materialized` would do as well, and costs a fifth more. -#}
{% macro computed_once() %}
    {{- adapter.dispatch('computed_once')() -}}
{% endmacro %}

{% macro postgres__computed_once() -%} offset 0 {%- endmacro %}

{% macro materialize__computed_once() -%}{%- endmacro %}

{% macro risingwave__computed_once() -%}
    {{ materialize__computed_once() }}
{%- endmacro %}
