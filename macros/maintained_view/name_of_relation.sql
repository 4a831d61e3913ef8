{#- The last part of a relation as rendered: "database"."schema"."name" → name. -#}
{% macro name_of_relation(relation) %}
    {{- return(relation.split('"')[-2]) -}}
{% endmacro %}


{#- A relation as rendered without its database, whose name may hold anything. -#}
{% macro without_database(relation) %}
    {{- return(relation[relation.index('"."') + 2:] if relation.count('"."') > 1 else relation) -}}
{% endmacro %}
