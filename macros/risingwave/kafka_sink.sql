{#- What the model's query yields, in a Kafka topic: a message with the key's text for
    each row that changes, a tombstone for one that goes. At least once. Made anew, it
    sends all rows again. -#}
{% materialization kafka_sink, adapter='risingwave' %}
    {% set target_relation = this.incorporate(type='sink') %}
    {% set existing = load_cached_relation(this) %}
    {{ run_hooks(pre_hooks) }}
    {% if existing is not none and should_full_refresh() %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
    {% call statement('main') %}
        create sink if not exists {{ target_relation }} as
        {{ sql }}
        with (
            {{ kafka_options('checkouts') }},
            primary_key = '{{ config.get('keys') }}'
        )
        format upsert encode json
        key encode text
    {% endcall %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
