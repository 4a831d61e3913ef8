{#- Materialize: create a materialized view of the rows that go to a Kafka topic, and
    the sink that sends them. A deployment replaces the view but keeps the sink, and
    redirect_sink() points the sink at the new view. So Materialize doesn't send all
    rows again. -#}
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


{#- Sinks have a schema of their own, because a deployment replaces the models'
    schema. -#}
{% macro sinks_schema() -%}
    {{ return(target.schema ~ '_sinks') }}
{%- endmacro %}


{#- `not enforced`: Materialize needn't prove that the key is unique. It is
    `purchase_id`, the primary key of `checkouts`, which a data test checks. -#}
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


{#- `firstclick deploy` runs this after it swaps the schemas and before it drops the old
    one. -#}
{% macro redirect_sink() %}
    {% do run_query(
        'alter sink ' ~ sinks_schema() ~ '.checkouts set from '
        ~ target.schema ~ '.checkouts_topic'
    ) %}
{% endmacro %}


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
