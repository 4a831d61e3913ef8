{#- A source: the model's body says of which topic. -#}
{% materialization kafka_table, adapter='materialize' %}
    {% set target_relation = this.incorporate(type='source') %}
    {% set ddl %}
        create source if not exists {{ target_relation }}
        in cluster {{ sources_cluster() }}
        {{ sql }}
    {% endset %}
    {{ return(made_once(target_relation, ddl)) }}
{% endmaterialization %}
