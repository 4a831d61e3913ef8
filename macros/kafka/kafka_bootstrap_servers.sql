{#- Return Kafka's address as the engine sees it, for example `kafka:9092`. With Docker
    it may differ from the one that you use on the host. -#}
{% macro kafka_bootstrap_servers() %}
    {{- return(env_var('KAFKA_BOOTSTRAP_SERVERS', 'localhost:9092')) -}}
{% endmacro %}
