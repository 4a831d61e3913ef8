{#- A table that reads a topic: the model's body says what of it. It is made once and
    kept, since what it holds would have to be read from Kafka again; `--full-refresh`
    does so, and drops what hangs on it. -#}
{% materialization kafka_table, adapter='risingwave' %}
    {% set target_relation = this.incorporate(type='table') %}
    {% set existing = load_cached_relation(this) %}
    {{ run_hooks(pre_hooks) }}
    {% if existing is not none and should_full_refresh() %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
    {% call statement('main') %}
        create table if not exists {{ target_relation }} {{ sql }}
    {% endcall %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
