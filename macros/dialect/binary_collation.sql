{#- Return a text for `order by` that sorts by code point, as the other engines do.
    PostgreSQL would sort by the database's collation. -#}
{% macro binary_collation(column) %}
    {{- adapter.dispatch('binary_collation')(column) -}}
{% endmacro %}

{% macro default__binary_collation(column) -%}
    {{ column }} collate "C"
{%- endmacro %}

{% macro materialize__binary_collation(column) -%}
    {{ column }}
{%- endmacro %}

{% macro risingwave__binary_collation(column) -%}
    {{ column }}
{%- endmacro %}
