{#- Equality of two texts of any length that an index may serve. A PostgreSQL index
    can't hold more than 2,700 bytes, and one of hashes takes half as long to keep: there
    it is on `indexed_text()` of the column. -#}
{% macro same_text(one, other) %}
    {{- adapter.dispatch('same_text')(one, other) -}}
{% endmacro %}

{% macro postgres__same_text(one, other) -%}
    {{ indexed_text(one) }} = {{ indexed_text(other) }} and {{ one }} = {{ other }}
{%- endmacro %}

{% macro materialize__same_text(one, other) -%}
    {{ one }} = {{ other }}
{%- endmacro %}

{% macro risingwave__same_text(one, other) -%}
    {{ materialize__same_text(one, other) }}
{%- endmacro %}

{% macro indexed_text(column) -%}
    hashtextextended({{ column }}, 0)
{%- endmacro %}
