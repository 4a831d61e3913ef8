{#- The role by which the dashboards read, as firstclick.reader names it. -#}
{% macro reader() -%}
    {{ return('grafana' if target.schema == 'firstclick' else 'grafana_' ~ target.schema) }}
{%- endmacro %}
