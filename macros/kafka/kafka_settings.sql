{#- Return the settings for connecting to Kafka, from the environment: {protocol,
    mechanism, username, password, authority, certificate, key}. Each is an SQL literal,
    or none if the protocol doesn't use it. If a variable is missing or wrong,
    compilation fails with its name. -#}
{% macro kafka_settings() %}
    {% set protocol = env_var('KAFKA_SECURITY_PROTOCOL', 'PLAINTEXT') %}
    {% set protocols = ['PLAINTEXT', 'SASL_PLAINTEXT', 'SASL_SSL', 'SSL'] %}
    {% if protocol not in protocols %}
        {% do exceptions.raise_compiler_error(
            'KAFKA_SECURITY_PROTOCOL is ' ~ protocol ~ ', expected one of '
            ~ protocols | join(', ') ~ ': correct it or unset it'
        ) %}
    {% endif %}
    {% set sasl = 'SASL' in protocol %}
    {% set authority = 'SSL' in protocol and env_var('KAFKA_SSL_CA', '') %}
    {% set certificate = 'SSL' in protocol and env_var('KAFKA_SSL_CERTIFICATE', '') %}
    {{ return({
        'protocol': dbt.string_literal(protocol),
        'mechanism': literal_of('KAFKA_SASL_MECHANISM', 'SCRAM-SHA-256') if sasl,
        'username': literal_of('KAFKA_SASL_USERNAME') if sasl,
        'password': literal_of('KAFKA_SASL_PASSWORD') if sasl,
        'authority': literal_of('KAFKA_SSL_CA') if authority,
        'certificate': literal_of('KAFKA_SSL_CERTIFICATE') if certificate,
        'key': literal_of('KAFKA_SSL_KEY') if certificate,
    }) }}
{% endmacro %}


{#- Return an environment variable as an SQL literal. In a text of several lines, such
    as a certificate (PEM), you may write the line ends as \n. -#}
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
