{#- Materialize: create a source that reads a topic of Kafka. The model's body says
    which topic; kafka_source() writes it. -#}
{% materialization kafka_table, adapter='materialize' %}
    {% set target_relation = this.incorporate(type='source') %}
    {% set ddl %}
        create source if not exists {{ target_relation }}
        in cluster {{ sources_cluster() }}
        {{ sql }}
    {% endset %}
    {{ return(made_once(target_relation, ddl)) }}
{% endmaterialization %}


{#- RisingWave: create a table that reads a topic of Kafka. The model's body says which
    topic; kafka_source() writes it. `dbt run --full-refresh` drops the table together
    with everything that reads it. -#}
{% materialization kafka_table, adapter='risingwave' %}
    {% set target_relation = this.incorporate(type='table') %}
    {% set ddl %}
        create table if not exists {{ target_relation }} {{ sql }}
    {% endset %}
    {{ return(made_once(target_relation, ddl)) }}
{% endmaterialization %}
