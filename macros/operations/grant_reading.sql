{#- Let the dashboards' role read the view that dbt has just created. This is a
    post-hook of every model that a dashboard may show. -#}
{% macro grant_reading() %}
    {%- if config.get('materialized') in ['view', 'materialized_view'] -%}
        {{- adapter.dispatch('grant_reading')() -}}
    {%- endif -%}
{% endmacro %}

{% macro default__grant_reading() -%}
    grant select on {{ this }} to {{ adapter.quote(reader()) }}
{%- endmacro %}

{% macro risingwave__grant_reading() -%}
    grant select on {{ config.get('materialized').replace('_', ' ') }} {{ this }}
    to {{ adapter.quote(reader()) }}
{%- endmacro %}
