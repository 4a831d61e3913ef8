{#- A source: the model's body says of which topic. It is made once and kept, since
    what it holds would have to be read from Kafka again; `--full-refresh` does so. -#}
{% materialization kafka_table, adapter='materialize' %}
    {% set target_relation = this.incorporate(type='source') %}
    {% set existing = load_cached_relation(this) %}
    {{ run_hooks(pre_hooks) }}
    {% if existing is not none and should_full_refresh() %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
    {% call statement('main') %}
        create source if not exists {{ target_relation }}
        in cluster {{ sources_cluster() }}
        {{ sql }}
    {% endcall %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
