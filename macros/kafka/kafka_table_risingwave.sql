{#- A table that reads a topic: the model's body says what of it. What hangs on it is
    dropped with it. -#}
{% materialization kafka_table, adapter='risingwave' %}
    {% set target_relation = this.incorporate(type='table') %}
    {% set ddl %}
        create table if not exists {{ target_relation }} {{ sql }}
    {% endset %}
    {{ return(made_once(target_relation, ddl)) }}
{% endmaterialization %}
