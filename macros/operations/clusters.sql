{#- Materialize: return the names of the clusters, which the settings choose. Sources
    and sinks share one, because they do little work. -#}
{% macro sources_cluster() -%}
    {{ return(env_var('FIRSTCLICK_SOURCES_CLUSTER', 'quickstart')) }}
{%- endmacro %}

{#- The cluster that maintains the models. profiles.yml reads the same variable. -#}
{% macro compute_cluster() -%}
    {{ return(env_var('FIRSTCLICK_COMPUTE_CLUSTER', 'quickstart')) }}
{%- endmacro %}

{#- The cluster whose memory holds the indexes that readers use. -#}
{% macro serving_cluster() -%}
    {{ return(env_var('FIRSTCLICK_SERVING_CLUSTER', 'quickstart')) }}
{%- endmacro %}

{% macro cluster_size() -%}
    {{ return(env_var('FIRSTCLICK_CLUSTER_SIZE', '25cc')) }}
{%- endmacro %}
