{#- The connection to Kafka, made where it is missing, and the secrets that it needs,
    which are set anew each time: so a password is changed by running dbt again. -#}
{% macro create_kafka_connection() %}
    {% set options = kafka_options() %}
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


{#- What the environment says of Kafka: {options: [text], secrets: {name: literal}}. -#}
{% macro kafka_options() %}
    {% set protocol = env_var('KAFKA_SECURITY_PROTOCOL', 'PLAINTEXT') %}
    {% set protocols = ['PLAINTEXT', 'SASL_PLAINTEXT', 'SASL_SSL', 'SSL'] %}
    {% if protocol not in protocols %}
        {% do exceptions.raise_compiler_error(
            'KAFKA_SECURITY_PROTOCOL is ' ~ protocol ~ ', expected one of '
            ~ protocols | join(', ') ~ ': correct it or unset it'
        ) %}
    {% endif %}
    {% set brokers = [] %}
    {% for broker in kafka_bootstrap_servers().split(',') %}
        {% do brokers.append(dbt.string_literal(broker | trim)) %}
    {% endfor %}
    {% set options = [
        'brokers (' ~ brokers | join(', ') ~ ')',
        "security protocol = '" ~ protocol ~ "'",
    ] %}
    {% set secrets = {} %}
    {% if 'SASL' in protocol %}
        {% do options.append('sasl mechanisms = ' ~ literal_of(
            'KAFKA_SASL_MECHANISM', 'SCRAM-SHA-256')) %}
        {% do options.append('sasl username = ' ~ literal_of('KAFKA_SASL_USERNAME')) %}
        {% do options.append(
            'sasl password = secret ' ~ sources_schema() ~ '.kafka_password') %}
        {% do secrets.update({'kafka_password': literal_of('KAFKA_SASL_PASSWORD')}) %}
    {% endif %}
    {% if 'SSL' in protocol and env_var('KAFKA_SSL_CA', '') %}
        {% do options.append(
            'ssl certificate authority = ' ~ literal_of('KAFKA_SSL_CA')) %}
    {% endif %}
    {% if 'SSL' in protocol and env_var('KAFKA_SSL_CERTIFICATE', '') %}
        {% do options.append(
            'ssl certificate = ' ~ literal_of('KAFKA_SSL_CERTIFICATE')) %}
        {% do options.append('ssl key = secret ' ~ sources_schema() ~ '.kafka_key') %}
        {% do secrets.update({'kafka_key': literal_of('KAFKA_SSL_KEY')}) %}
    {% endif %}
    {{ return({'options': options, 'secrets': secrets}) }}
{% endmacro %}


{#- An environment variable as an SQL literal. Text of several lines (a certificate in
    PEM) may have its line ends written as \n. -#}
{% macro literal_of(name, default='') %}
    {% set value = env_var(name, default) %}
    {% if not value %}
        {% do exceptions.raise_compiler_error(
            name ~ ' is not set, expected it with KAFKA_SECURITY_PROTOCOL='
            ~ env_var('KAFKA_SECURITY_PROTOCOL', 'PLAINTEXT') ~ ': set it'
        ) %}
    {% endif %}
    {{ return(dbt.string_literal(value.replace('\\n', '\n').replace("'", "''"))) }}
{% endmacro %}
