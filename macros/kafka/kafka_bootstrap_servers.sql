{#- Where the engine reaches Kafka: `host:port`. -#}
{% macro kafka_bootstrap_servers() %}
    {{- return(env_var('KAFKA_BOOTSTRAP_SERVERS', 'localhost:9092')) -}}
{% endmacro %}
