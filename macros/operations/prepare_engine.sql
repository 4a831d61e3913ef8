{#- Create everything that the models need, such as schemas, roles and secrets. This
    runs at the start of every command. On the streaming engines it only does something
    if the command deploys, so you can compile the models without an engine. -#}
{% macro prepare_engine() %}
    {{- adapter.dispatch('prepare_engine')() -}}
{% endmacro %}

{% macro default__prepare_engine() %}
    {{- prepare_maintenance() }}
    {{- prepare_reader() -}}
    {{- prepare_workers() -}}
{% endmacro %}

{% macro materialize__prepare_engine() %}
    {%- if execute and deploys() -%}
        {%- do create_clusters() -%}
        {%- for schema in [sources_schema(), target.schema, sinks_schema()] -%}
            {%- do run_query('create schema if not exists ' ~ schema) -%}
        {%- endfor -%}
        {%- do create_kafka_connection() -%}
        {%- do prepare_reader() -%}
    {%- endif -%}
{% endmacro %}

{% macro risingwave__prepare_engine() %}
    {%- if execute and deploys() -%}
        {%- do set_barriers() -%}
        {%- for schema in [sources_schema(), models_schema()] -%}
            {%- do run_query('create schema if not exists ' ~ schema) -%}
        {%- endfor -%}
        {%- do create_kafka_secrets() -%}
        {%- do prepare_reader() -%}
    {%- endif -%}
{% endmacro %}

{% macro deploys() -%}
    {{ return(flags.WHICH in ('build', 'run', 'seed')) }}
{%- endmacro %}
