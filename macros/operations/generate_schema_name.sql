{#- Where things are on the streaming engines. A deployment replaces the pipeline's
    schema as a whole; sources and reference data, which must outlive it, are in one of
    their own. -#}
{% macro sources_schema() -%}
    {{ return(target.schema ~ '_sources') }}
{%- endmacro %}

{#- That of the models, or where their next version is built beside them. -#}
{% macro models_schema() -%}
    {{ return(target.schema ~ ('_dbt_deploy' if var('deploy', false) else '')) }}
{%- endmacro %}


{% macro materialize__generate_schema_name(custom_schema_name, node) -%}
    {%- if custom_schema_name == 'sources' -%}
        {{ sources_schema() }}
    {%- elif custom_schema_name -%}
        {{ target.schema }}_{{ custom_schema_name }}
        {{- '_dbt_deploy' if var('deploy', false) }}
    {%- else -%}
        {{ models_schema() }}
    {%- endif -%}
{%- endmacro %}

{% macro risingwave__generate_schema_name(custom_schema_name, node) -%}
    {{ materialize__generate_schema_name(custom_schema_name, node) }}
{%- endmacro %}
