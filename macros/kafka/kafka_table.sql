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
