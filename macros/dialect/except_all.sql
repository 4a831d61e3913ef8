{#- What stands between two queries for the rows of the first that the second lacks,
    counted. RisingWave can't count: there a row that is there twice is for the tests of
    uniqueness to find. -#}
{% macro except_all() %}
    {{- adapter.dispatch('except_all')() -}}
{% endmacro %}

{% macro default__except_all() -%} except all {%- endmacro %}

{% macro risingwave__except_all() -%} except {%- endmacro %}
