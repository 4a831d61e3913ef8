{#- Materialize: keeps what readers ask for in a cluster's memory, by the model's keys
    where it has any. What only other models read needs none. The `indexes` of the
    models are PostgreSQL's. -#}
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
