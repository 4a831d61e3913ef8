{#- Marks a CTE whose expressions are used more than once further down. PostgreSQL
    would compute them for every use; the streaming engines share them by themselves
    and don't know the word. -#}
{% macro computed_once() %}
    {{- adapter.dispatch('computed_once')() -}}
{% endmacro %}

{% macro postgres__computed_once() -%} materialized {%- endmacro %}

{% macro default__computed_once() -%}{%- endmacro %}
