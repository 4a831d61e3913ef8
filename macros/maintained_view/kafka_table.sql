{#- A table that the connector fills: the model's body is its columns, and `unique_on` an
    expression of which no two rows have the same value. It is made once and kept; what it
    holds came from Kafka and can't be computed again. -#}
{% materialization kafka_table, adapter='postgres' %}
    {% set target_relation = this.incorporate(type='table') %}
    {% if var('single_transaction', false) %}
        {{ return(defer(
            {'relation': this.render(), 'kind': 'kafka_table', 'sql': sql,
                'unique_on': config.get('unique_on')})) }}
    {% endif %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement('main', auto_begin=True) %}
        {{ create_kafka_table(target_relation, sql) }}
    {% endcall %}
    {% do run_all(alterations_of(
        target_relation.render(), sql, config.get('unique_on')).statements) %}
    {% do apply_grants(target_relation, config.get('grants'), should_revoke=True) %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{% macro create_kafka_table(relation, columns) %}
    create table if not exists {{ relation }} (
        {{ columns }}
    )
{% endmacro %}


{#- What adds the columns that a table of an older version lacks, has those that are not
    the connector's any more take nulls, and gives it the constraints and the unique index
    that it has now. Returns {statements, added: [columns]}. -#}
{% macro alterations_of(relation, columns, unique_on) %}
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
    {% set statements = [] %}
    {% set added = [] %}
    {% for column in wanted if column.name not in stored %}
        {% if column.name in required and not is_empty %}
            {% do exceptions.raise_compiler_error(
                relation ~ " is of an older version and its rows lack '" ~ column.name
                ~ "', which only Kafka knows: expected a database without them. Use an"
                ~ " empty one, and Kafka's messages are read again") %}
        {% endif %}
        {% do statements.append('alter table ' ~ relation ~ ' add column ' ~ column.name ~ ' '
            ~ column.type ~ (' not null' if column.name in required else '')) %}
        {% do added.append(column) %}
    {% endfor %}
    {% set held = constraints_of(relation) %}
    {% for definition, name in held.items() if definition not in constraints %}
        {% do statements.append('alter table ' ~ relation ~ ' drop constraint ' ~ adapter.quote(name)) %}
    {% endfor %}
    {% for definition in constraints if definition not in held %}
        {% do statements.append('alter table ' ~ relation ~ ' add ' ~ definition) %}
    {% endfor %}
    {% set index = relation[:-1] ~ '_key"' %}
    {% if unique_on and not exists_relation(index) %}
        {% do statements.append('create unique index ' ~ adapter.quote(name_of_relation(index))
            ~ ' on ' ~ relation ~ ' ((' ~ unique_on ~ '))') %}
    {% endif %}
    {% for name in stored if name not in wanted | map(attribute='name') | list %}
        {% do statements.append('alter table ' ~ relation ~ ' alter column ' ~ name ~ ' drop not null') %}
    {% endfor %}
    {{ return({'statements': statements, 'added': added}) }}
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
