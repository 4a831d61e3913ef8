{#- Return the role for a task of this pipeline, by the names of
    firstclick.servers.roles: in the schema `shop1`, `connector` becomes
    `connector_shop1`. -#}
{% macro role_of(work) -%}
    {{ return(work if target.schema == 'firstclick' else work ~ '_' ~ target.schema) }}
{%- endmacro %}
