{#- Materialize: create the connection to Kafka if it is missing, and the secrets that
    it uses. Secrets are set on every run, so to change a password, set the variable and
    run dbt again. -#}
{% macro create_kafka_connection() %}
    {% set options = connection_options() %}
    {% for name, value in options.secrets.items() %}
        {% set secret = sources_schema() ~ '.' ~ name %}
        {% do run_query('create secret if not exists ' ~ secret ~ ' as ' ~ value) %}
        {% do run_query('alter secret ' ~ secret ~ ' as ' ~ value) %}
    {% endfor %}
    {% do run_query(
        'create connection if not exists ' ~ kafka_connection() ~ ' to kafka ('
        ~ options.options | join(', ') ~ ')'
    ) %}
{% endmacro %}


{% macro kafka_connection() -%}
    {{ return(sources_schema() ~ '.kafka') }}
{%- endmacro %}


{#- Return {options: [text], secrets: {name: literal}}. -#}
{% macro connection_options() %}
    {% set kafka = kafka_settings() %}
    {% set brokers = [] %}
    {% for broker in kafka_bootstrap_servers().split(',') %}
        {% do brokers.append(dbt.string_literal(broker | trim)) %}
    {% endfor %}
    {% set options = [
        'brokers (' ~ brokers | join(', ') ~ ')',
        'security protocol = ' ~ kafka.protocol,
    ] %}
    {% set secrets = {} %}
    {% if kafka.password %}
        {% do options.append('sasl mechanisms = ' ~ kafka.mechanism) %}
        {% do options.append('sasl username = ' ~ kafka.username) %}
        {% do options.append(
            'sasl password = secret ' ~ sources_schema() ~ '.kafka_password') %}
        {% do secrets.update({'kafka_password': kafka.password}) %}
    {% endif %}
    {% if kafka.authority %}
        {% do options.append('ssl certificate authority = ' ~ kafka.authority) %}
    {% endif %}
    {% if kafka.certificate %}
        {% do options.append('ssl certificate = ' ~ kafka.certificate) %}
        {% do options.append('ssl key = secret ' ~ sources_schema() ~ '.kafka_key') %}
        {% do secrets.update({'kafka_key': kafka.key}) %}
    {% endif %}
    {{ return({'options': options, 'secrets': secrets}) }}
{% endmacro %}
