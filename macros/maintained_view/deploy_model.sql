{#- Makes the database hold the model as it is defined now, and everything that is
    derived from it. A model that is deployed already is left alone, unless
    `refresh` says to compare its rows with its SQL all the same. Returns what was
    done, in a word or two. Runs within one transaction of the caller's. -#}
{% macro deploy_model(definition, refresh=false) %}
    {% set models = deployed_models() %}
    {% set deployed = models.get(definition.relation) %}
    {% set expanded = expanded_model(definition, models) %}
    {% set exists = run_query(
        "select to_regclass('" ~ definition.relation ~ "') is not null as it"
    ).rows[0]['it'] %}
    {% set hash = local_md5(
        definition.kind ~ expanded.sql ~ definition.config['keys'] | string) %}
    {% set same = exists and deployed and deployed.rows_hash == hash and not refresh %}

    {% set columns = columns_of_relation(definition.relation) if same
        else columns_of_query(expanded.sql) %}
    {% set triggers = {'functions': {}, 'triggers': {}} %}
    {% if definition.kind != 'view' %}
        {% do check_model(definition, expanded, columns) %}
        {% set triggers = maintaining_triggers(definition, expanded, columns, models) %}
    {% endif %}
    {% set triggers_hash = local_md5(triggers | string ~ definition.config.indexes | string) %}
    {% set in_place = triggers_are_in_place(triggers.triggers) %}
    {% if same and in_place and deployed.triggers_hash == triggers_hash %}
        {{ return('unchanged') }}
    {% endif %}

    {% for table in triggers.triggers %}
        {% do run_query('lock table ' ~ table ~ ' in share row exclusive mode') %}
    {% endfor %}
    {% set outcome = namespace(word='updated') %}
    {% if not exists %}
        {% do create_relation(definition.relation, definition, expanded, columns) %}
        {% set outcome.word = 'created' %}
    {% elif columns != columns_of_relation(definition.relation)
        or (deployed and deployed.config['keys'] != definition.config['keys']) %}
        {% set successor = api.Relation.create(
            database=this.database, schema=this.schema,
            identifier=name_of_relation(definition.relation) ~ '__new').render() %}
        {% do create_relation(successor, definition, expanded, columns) %}
        {% do run_query("select " ~ maintenance_schema() ~ ".put_in_place('"
            ~ definition.relation ~ "', '" ~ successor ~ "')") %}
        {% set outcome.word = 'rebuilt' %}
    {% elif definition.kind == 'view' %}
        {#- Where only what it reads has changed, the view itself stays: to lock two
            views at once could be a deadlock with a reader of both. -#}
        {% if not deployed or deployed.sql != definition.sql %}
            {% do run_query(
                'create or replace view ' ~ definition.relation ~ ' as\n' ~ definition.sql) %}
        {% endif %}
    {% else %}
        {% do create_indexes_of(definition.relation, definition, columns) %}
        {% if not same or not in_place %}
            {% do run_query(replace_rows(definition, expanded, columns)) %}
        {% endif %}
    {% endif %}
    {% do install_triggers(triggers, deployed) %}
    {% do run_query(remember_model(
        definition, models, triggers.functions.keys() | list, hash, triggers_hash)) %}

    {#- Changed rows have gone through the triggers; a changed view, and changed
        columns, are carried to the readers here. -#}
    {% if outcome.word == 'rebuilt' or definition.kind == 'view' %}
        {% for reader in models.values() if definition.relation in reader.parents %}
            {% do deploy_model(reader, refresh or outcome.word == 'rebuilt') %}
        {% endfor %}
    {% endif %}
    {{ return(outcome.word) }}
{% endmacro %}


{#- The catalogue's row of the model. Its rank is its distance from the sources. -#}
{% macro remember_model(definition, models, functions, rows_hash, triggers_hash) %}
    {% set values = {
        'relation': definition.relation,
        'kind': definition.kind,
        'rank': rank_of_model(definition, models),
        'sql': definition.sql,
        'parents': tojson(definition.parents),
        'config': tojson(definition.config),
        'functions': tojson(functions),
        'rows_hash': rows_hash,
        'triggers_hash': triggers_hash,
    } %}
    merge into {{ maintenance_schema() }}.models as stored
    using (
        select
        {%- for name, value in values.items() %}
            '{{ value | string | replace("'", "''") }}'
            {{- '::integer' if name == 'rank' else '::jsonb' if name in ['parents', 'config', 'functions'] else '::text' }} as {{ name }}
            {{- ',' if not loop.last }}
        {%- endfor %}
    ) as new
    on stored.relation = new.relation
    when matched then update set
        {%- for name in values if name != 'relation' %}
        {{ name }} = new.{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    when not matched then insert ({{ values.keys() | join(', ') }})
        values (new.{{ values.keys() | join(', new.') }})
{% endmacro %}


{% macro rank_of_model(definition, models) %}
    {% set rank = namespace(value=1) %}
    {% for parent in definition.parents if parent in models %}
        {% set rank.value = [rank.value, models[parent].rank + 1] | max %}
    {% endfor %}
    {{ return(rank.value) }}
{% endmacro %}


{#- A new relation with its rows, its unique key and its indexes. -#}
{% macro create_relation(relation, definition, expanded, columns) %}
    {% if definition.kind == 'view' %}
        {% do run_query('create view ' ~ relation ~ ' as\n' ~ definition.sql) %}
    {% else %}
        {% do run_query('create table ' ~ relation ~ ' as\n' ~ expanded.sql) %}
        {% do create_indexes_of(relation, definition, columns) %}
        {% if run_query('select exists (select from ' ~ relation ~ ') as it').rows[0]['it'] %}
            {% do run_query('analyze ' ~ relation) %}
        {% else %}
            {% do run_query(expect_rows(relation)) %}
        {% endif %}
    {% endif %}
{% endmacro %}


{#- Has the planner take a table for a large one as soon as it has any rows, until it is
    analyzed for the first time: of two indexes it would else choose any. -#}
{% macro expect_rows(relation) %}
    select pg_restore_relation_stats(
        'schemaname', nspname::text, 'relname', relname::text,
        'relpages', 1, 'reltuples', 100000::real
    )
    from pg_class
    inner join pg_namespace on pg_namespace.oid = relnamespace
    where pg_class.oid = '{{ relation }}'::regclass
{% endmacro %}


{#- Makes the unique index of the keys and the indexes of the config where they are
    missing, and drops what is not in the config any more. -#}
{% macro create_indexes_of(relation, definition, columns) %}
    {% set name = name_of_relation(relation) %}
    {% set wanted = {} %}
    {% do wanted.update({
        name ~ '_key_' ~ local_md5(definition.config['keys'] | string)[:8]:
            'create unique index if not exists %I on %s ('
                ~ indexed_keys(definition, columns) ~ ') nulls not distinct'
    }) if definition.config['keys'] %}
    {% for index in definition.config.indexes %}
        {% do wanted.update({
            name ~ '_' ~ local_md5(index)[:8]:
                'create index if not exists %I on %s ' ~ index
        }) %}
    {% endfor %}
    {% for index, statement in wanted.items() %}
        {% do run_query(statement.replace('%I', adapter.quote(index)).replace('%s', relation)) %}
    {% endfor %}
    {% for row in run_query(
        "select indexrelid::regclass::text as index from pg_index where indrelid = '"
        ~ relation ~ "'::regclass"
    ).rows if row['index'].replace('"', '').split('.')[-1] not in wanted %}
        {% do run_query('drop index ' ~ row['index']) %}
    {% endfor %}
{% endmacro %}


{% macro columns_of_relation(relation) %}
    {% set columns = [] %}
    {% for row in run_query(
        "select attname, format_type(atttypid, atttypmod) as type from pg_attribute"
        ~ " where attrelid = '" ~ relation ~ "'::regclass and attnum > 0"
        ~ " and not attisdropped order by attnum"
    ).rows %}
        {% do columns.append({'name': row['attname'], 'type': row['type']}) %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}


{% macro columns_of_query(sql) %}
    {% do run_query('create temporary view probe as\n' ~ sql) %}
    {% set columns = columns_of_relation('pg_temp.probe') %}
    {% do run_query('drop view pg_temp.probe') %}
    {{ return(columns) }}
{% endmacro %}
