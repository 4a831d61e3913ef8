{#- What the model's query yields, in a Kafka topic: a message with the key's text for
    each row that changes, a tombstone for one that goes. At least once. -#}
{% materialization kafka_sink, adapter='risingwave' %}
    {% set target_relation = this.incorporate(type='sink') %}
    {% set ddl %}
        create sink if not exists {{ target_relation }} as
        {{ sql }}
        with (
            {{ kafka_options('checkouts') }},
            primary_key = '{{ config.get('unique_key') }}'
        )
        format upsert encode json
        key encode text
    {% endset %}
    {{ return(made_once(target_relation, ddl)) }}
{% endmaterialization %}
