{#- A materialized view of what goes to a Kafka topic, and the sink that carries it
    there. The sink outlives a deployment: it is told to read the new view, which needs
    no second copy of the topic. -#}
{% materialization kafka_sink, adapter='materialize' %}
    {% set target_relation = this.incorporate(type='materialized_view') %}
    {% set existing = load_cached_relation(this) %}
    {{ run_hooks(pre_hooks) }}
    {% if existing is not none %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
    {% call statement('main') %}
        {{ get_create_materialized_view_as_sql(target_relation, sql) }}
    {% endcall %}
    {% if not var('deploy', false) %}
        {% do run_query(create_sink(target_relation, config.get('unique_key'))) %}
    {% endif %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#- A deployment leaves it alone. -#}
{% macro sinks_schema() -%}
    {{ return(target.schema ~ '_sinks') }}
{%- endmacro %}


{#- No proof that the key is unique is asked for: the contract says that it is. -#}
{% macro create_sink(relation, key) %}
    create sink if not exists {{ sinks_schema() }}.checkouts
    in cluster {{ sources_cluster() }}
    from {{ relation }}
    into kafka connection {{ kafka_connection() }} (
        topic '{{ kafka_topic('checkouts') }}',
        topic config map['cleanup.policy' => 'compact']
    )
    key ({{ key }}) not enforced
    key format text
    value format json
    envelope upsert
{% endmacro %}


{#- After a deployment, before the schema that it replaced is dropped. -#}
{% macro redirect_sink() %}
    {% do run_query(
        'alter sink ' ~ sinks_schema() ~ '.checkouts set from '
        ~ target.schema ~ '.checkouts_topic'
    ) %}
{% endmacro %}
