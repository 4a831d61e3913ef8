{#- Where things are on Materialize. A deployment replaces the pipeline's schema as a
    whole; what must outlive it, or could not be had again, is in schemas and on
    clusters of its own: sources and reference data, and the sink. -#}
{% macro sources_schema() -%}
    {{ return(target.schema ~ '_sources') }}
{%- endmacro %}

{% macro sinks_schema() -%}
    {{ return(target.schema ~ '_sinks') }}
{%- endmacro %}

{#- Sources and sinks do little work, so they share one. -#}
{% macro sources_cluster() -%}
    {{ return(env_var('FIRSTCLICK_SOURCES_CLUSTER', 'quickstart')) }}
{%- endmacro %}

{#- Where the models are kept up to date; profiles.yml reads the same variable. -#}
{% macro compute_cluster() -%}
    {{ return(env_var('FIRSTCLICK_COMPUTE_CLUSTER', 'quickstart')) }}
{%- endmacro %}

{#- Whose memory holds what readers ask for. -#}
{% macro serving_cluster() -%}
    {{ return(env_var('FIRSTCLICK_SERVING_CLUSTER', 'quickstart')) }}
{%- endmacro %}

{% macro cluster_size() -%}
    {{ return(env_var('FIRSTCLICK_CLUSTER_SIZE', '25cc')) }}
{%- endmacro %}

{% macro kafka_connection() -%}
    {{ return(sources_schema() ~ '.kafka') }}
{%- endmacro %}


{% macro materialize__generate_schema_name(custom_schema_name, node) -%}
    {%- if custom_schema_name == 'sources' -%}
        {{ sources_schema() }}
    {%- else -%}
        {{ target.schema }}
        {{- '_' ~ custom_schema_name if custom_schema_name }}
        {{- '_dbt_deploy' if var('deploy', false) }}
    {%- endif -%}
{%- endmacro %}
