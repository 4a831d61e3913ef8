{#- RisingWave: create the secrets that the connection to Kafka uses, if it uses any.
    They are set on every run, so to change a password, set the variable and run dbt
    again. -#}
{% macro create_kafka_secrets() %}
    {% set kafka = kafka_settings() %}
    {% set secrets = {'kafka_password': kafka.password, 'kafka_key': kafka.key} %}
    {% for name, value in secrets.items() if value %}
        {% set secret = sources_schema() ~ '.' ~ name %}
        {% set backend = " with (backend = 'meta') as " %}
        {% do run_query('create secret if not exists ' ~ secret ~ backend ~ value) %}
        {% do run_query('alter secret ' ~ secret ~ backend ~ value) %}
    {% endfor %}
{% endmacro %}
