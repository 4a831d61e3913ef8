{#- Return the role with which the dashboards read. -#}
{% macro reader() -%}
    {{ return(role_of('grafana')) }}
{%- endmacro %}
