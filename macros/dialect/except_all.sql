{#- Return the set operator for the rows of one query that another one lacks. It counts
    duplicates, except on RisingWave, which has no `except all`; there the tests for
    unique keys find a row that occurs twice. -#}
{% macro except_all() %}
    {{- adapter.dispatch('except_all')() -}}
{% endmacro %}

{% macro default__except_all() -%} except all {%- endmacro %}

{% macro risingwave__except_all() -%} except {%- endmacro %}
