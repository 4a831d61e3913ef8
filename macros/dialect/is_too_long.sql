{#- Whether an id is too long for the index of a relation that has it as its key: an entry
    of PostgreSQL's B-tree holds 2,704 bytes at most. -#}
{% macro is_too_long(column) %}
    {{- adapter.dispatch('is_too_long')(column) -}}
{% endmacro %}

{% macro postgres__is_too_long(column) -%}
    octet_length({{ column }}) > 2600
{%- endmacro %}

{% macro default__is_too_long(column) -%}
    false
{%- endmacro %}
