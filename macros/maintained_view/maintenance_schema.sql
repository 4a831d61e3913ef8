{#- The schema beside the models' own that holds what maintains them. -#}
{% macro maintenance_schema() %}
    {{- return(adapter.quote(target.schema ~ '_maintenance')) -}}
{% endmacro %}
