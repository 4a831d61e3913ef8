{#- The last part of a relation as rendered: "database"."schema"."name" → name. -#}
{% macro name_of_relation(relation) %}
    {{- return(relation.split('"')[-2]) -}}
{% endmacro %}
