{#- RisingWave: create a sink that sends the rows of the model's query to a Kafka topic.
    It sends a message whenever a row changes, with the row's key as text, and a
    tombstone when a row is deleted. Delivery is at least once. -#}
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
