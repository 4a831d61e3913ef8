{#- The role that does a work for the pipeline, as firstclick.servers.roles names it. -#}
{% macro role_of(work) -%}
    {{ return(work if target.schema == 'firstclick' else work ~ '_' ~ target.schema) }}
{%- endmacro %}

{#- The role by which the dashboards read. -#}
{% macro reader() -%}
    {{ return(role_of('grafana')) }}
{%- endmacro %}
