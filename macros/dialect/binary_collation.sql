{#- A text to order by, as every engine orders it: by code points. PostgreSQL orders
    as its database was made to, unless told. -#}
{% macro binary_collation(column) %}
    {{- adapter.dispatch('binary_collation')(column) -}}
{% endmacro %}

{% macro postgres__binary_collation(column) -%}
    {{ column }} collate "C"
{%- endmacro %}

{% macro materialize__binary_collation(column) -%}
    {{ column }}
{%- endmacro %}

{% macro risingwave__binary_collation(column) -%}
    {{ column }}
{%- endmacro %}
