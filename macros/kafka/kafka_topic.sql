{#- Return the topic's name in Kafka. If several pipelines share a cluster, each has its
    own FIRSTCLICK_TOPIC_PREFIX: with `shop1.`, `clicks` becomes `shop1.clicks`. -#}
{% macro kafka_topic(name) %}
    {{- return(env_var('FIRSTCLICK_TOPIC_PREFIX', '') ~ name) -}}
{% endmacro %}
