{#- The clusters, by the settings' names. Sources and sinks do little work, so they
    share one. -#}
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
