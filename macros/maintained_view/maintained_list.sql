{#- One name or a list of names, as a list. -#}
{% macro maintained_list(names) %}
    {{- return([names] if names is string else names) -}}
{% endmacro %}
