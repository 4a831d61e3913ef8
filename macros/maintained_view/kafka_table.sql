{#- A table that the connector fills: the model's body is its columns. It is made
    once and kept; what it holds came from Kafka and can't be computed again. -#}
{% materialization kafka_table, adapter='postgres' %}
    {% set target_relation = this.incorporate(type='table') %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement('main', auto_begin=True) %}
        create table if not exists {{ target_relation }} (
            {{ sql }}
        )
    {% endcall %}
    {% do match_kafka_table(target_relation, sql) %}
    {% do apply_grants(target_relation, config.get('grants'), should_revoke=True) %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#- Adds the columns that a table of an older version lacks, has those that are not the
    connector's any more take nulls, and gives it the constraints that it has now. -#}
{% macro match_kafka_table(relation, columns) %}
    {% do run_query('create temporary table probe (' ~ columns ~ ')') %}
    {% set wanted = columns_of_relation('pg_temp.probe') %}
    {% set required = run_query(
        "select attname from pg_attribute where attnotnull and attnum > 0"
        ~ " and attrelid = 'pg_temp.probe'::regclass"
    ).columns[0].values() %}
    {% set constraints = constraints_of('pg_temp.probe') %}
    {% do run_query('drop table pg_temp.probe') %}
    {% set stored = columns_of_relation(relation) | map(attribute='name') | list %}
    {% set is_empty = run_query(
        'select not exists (select from ' ~ relation ~ ') as it').rows[0]['it'] %}
    {% for column in wanted if column.name not in stored %}
        {% if column.name in required and not is_empty %}
            {% do exceptions.raise_compiler_error(
                relation ~ " is of an older version and its rows lack '" ~ column.name
                ~ "', which only Kafka knows: expected a database without them. Use an"
                ~ " empty one, and Kafka's messages are read again") %}
        {% endif %}
        {% do run_query('alter table ' ~ relation ~ ' add column ' ~ column.name ~ ' '
            ~ column.type ~ (' not null' if column.name in required else '')) %}
    {% endfor %}
    {% set held = constraints_of(relation) %}
    {% for definition, name in held.items() if definition not in constraints %}
        {% do run_query('alter table ' ~ relation ~ ' drop constraint ' ~ adapter.quote(name)) %}
    {% endfor %}
    {% for definition in constraints if definition not in held %}
        {% do run_query('alter table ' ~ relation ~ ' add ' ~ definition) %}
    {% endfor %}
    {% for name in stored if name not in wanted | map(attribute='name') | list %}
        {% do run_query('alter table ' ~ relation ~ ' alter column ' ~ name ~ ' drop not null') %}
    {% endfor %}
{% endmacro %}


{#- The keys and exclusions of a table: {definition: name}. -#}
{% macro constraints_of(relation) %}
    {% set constraints = {} %}
    {% for row in run_query(
        "select pg_get_constraintdef(oid) as definition, conname from pg_constraint"
        ~ " where contype in ('p', 'u', 'x') and conrelid = '" ~ relation ~ "'::regclass"
    ).rows %}
        {% do constraints.update({row['definition']: row['conname']}) %}
    {% endfor %}
    {{ return(constraints) }}
{% endmacro %}
