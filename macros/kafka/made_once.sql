{#- Run `ddl` to create the model's relation if it is missing, and keep it on later
    runs. Otherwise the engine would have to read Kafka again from the beginning, or
    send everything again. `dbt run --full-refresh` drops and creates it again. -#}
{% macro made_once(target_relation, ddl) %}
    {% set existing = load_cached_relation(this) %}
    {{ run_hooks(pre_hooks) }}
    {% if existing is not none and should_full_refresh() %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
    {% call statement('main') %}
        {{ ddl }}
    {% endcall %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{% endmacro %}
