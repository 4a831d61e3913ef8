{#- Return the condition that two texts of any length are equal, in a form that can use
    an index. An entry of a PostgreSQL index holds about 2,700 bytes at most, so the
    index there is on indexed_text(), a hash. Such an index also takes half as long to
    maintain. -#}
{% macro same_text(one, other) %}
    {{- adapter.dispatch('same_text')(one, other) -}}
{% endmacro %}

{% macro default__same_text(one, other) -%}
    {{ indexed_text(one) }} = {{ indexed_text(other) }} and {{ one }} = {{ other }}
{%- endmacro %}

{% macro materialize__same_text(one, other) -%}
    {{ one }} = {{ other }}
{%- endmacro %}

{% macro risingwave__same_text(one, other) -%}
    {{ one }} = {{ other }}
{%- endmacro %}
