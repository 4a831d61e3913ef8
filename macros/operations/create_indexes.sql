{#- Materialize: create an index on a model that readers query (`serving: true`), which
    keeps its rows in the memory of the serving cluster. The index is on the model's
    `unique_key`, if it has one. A model that only other models read needs no index.
    dbt-materialize would create the model's `indexes`, but those are for
    PostgreSQL. -#}
{% macro materialize__create_indexes(relation) %}
    {% if config.get('serving', false) %}
        {% set keys = config.get('unique_key') or [] %}
        {% call statement('create_index') %}
            create {{ 'default' if not keys }} index
            in cluster {{ adapter.generate_final_cluster_name(serving_cluster()) }}
            on {{ relation }}
            {% if keys %}({{ ([keys] if keys is string else keys) | join(', ') }}){% endif %}
        {% endcall %}
    {% endif %}
{% endmacro %}
