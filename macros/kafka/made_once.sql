{#- The body of a materialization whose relation is made where it is missing, by `ddl`,
    and kept: what it holds or sent would have to be read or sent again. `--full-refresh`
    makes it anew. -#}
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
