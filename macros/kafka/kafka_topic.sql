{#- The name of a topic in Kafka: several pipelines may share a cluster. -#}
{% macro kafka_topic(name) %}
    {{- return(env_var('FIRSTCLICK_TOPIC_PREFIX', '') ~ name) -}}
{% endmacro %}
