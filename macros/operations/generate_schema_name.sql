{#- Return the schema of the sources and the reference data on the streaming engines. A
    deployment replaces the models' schema as a whole; the sources and the reference
    data have to outlive it, so they have a schema of their own. -#}
{% macro sources_schema() -%}
    {{ return(target.schema ~ '_sources') }}
{%- endmacro %}

{#- Return the models' schema. During a deployment, that is the one in which the next
    version is built beside them. -#}
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
