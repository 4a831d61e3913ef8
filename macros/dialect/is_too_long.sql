{#- Return whether an id is too long to be a relation's primary key: an entry of
    PostgreSQL's B-tree holds at most 2,704 bytes. The other engines have no such
    limit. -#}
{% macro is_too_long(column) %}
    {{- adapter.dispatch('is_too_long')(column) -}}
{% endmacro %}

{% macro default__is_too_long(column) -%}
    octet_length({{ column }}) > 2600
{%- endmacro %}

{% macro materialize__is_too_long(column) -%}
    false
{%- endmacro %}

{% macro risingwave__is_too_long(column) -%}
    false
{%- endmacro %}
