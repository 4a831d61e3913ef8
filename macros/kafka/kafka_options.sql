{#- RisingWave: return the options of `with (…)` that connect a table or a sink to a
    topic. -#}
{% macro kafka_options(topic) -%}
    {%- set kafka = kafka_settings() -%}
    {%- set given = {
        'security.protocol': kafka.protocol,
        'sasl.mechanism': kafka.mechanism,
        'sasl.username': kafka.username,
        'sasl.password': kafka.password and secret_of('kafka_password'),
        'ssl.ca.pem': kafka.authority,
        'ssl.certificate.pem': kafka.certificate,
        'ssl.key.pem': kafka.key and secret_of('kafka_key'),
    } -%}
    connector = 'kafka',
    topic = '{{ kafka_topic(topic) }}',
    properties.bootstrap.server = '{{ kafka_bootstrap_servers() }}'
    {%- for name, value in given.items() if value -%}
        ,
    properties.{{ name }} = {{ value }}
    {%- endfor -%}
{%- endmacro %}


{% macro secret_of(name) -%}
    {{ return('secret ' ~ sources_schema() ~ '.' ~ name) }}
{%- endmacro %}
