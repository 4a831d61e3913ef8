{#- A text to order by, as every engine orders it: by code points. PostgreSQL orders
    as its database was made to, unless told. -#}
{% macro by_code_point(column) %}
    {{- adapter.dispatch('by_code_point')(column) -}}
{% endmacro %}

{% macro postgres__by_code_point(column) -%}
    {{ column }} collate "C"
{%- endmacro %}

{% macro materialize__by_code_point(column) -%}
    {{ column }}
{%- endmacro %}

{% macro risingwave__by_code_point(column) -%}
    {{ column }}
{%- endmacro %}
