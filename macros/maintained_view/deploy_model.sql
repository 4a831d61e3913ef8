{#- Makes the database hold the model as it is defined now, and everything that is
    derived from it. A model that is deployed already is left alone, unless
    `refresh` says to compare its rows with its SQL all the same. Returns what was
    done, in a word or two. Runs within one transaction of the caller's. -#}
{% macro deploy_model(definition, refresh=false) %}
    {% set models = deployed_models() %}
    {% set deployed = models.get(definition.relation) %}
    {% set plan = planned_model(definition, models, deployed, refresh) %}
    {% if plan.is_deployed %}
        {{ return('unchanged') }}
    {% endif %}
    {% set expanded, columns = plan.expanded, plan.columns %}

    {% do block_writers(plan) %}
    {% set outcome = namespace(word='updated') %}
    {% if not plan.exists %}
        {% do create_relation(definition.relation, definition, expanded.sql, columns) %}
        {% set outcome.word = 'created' %}
    {% elif columns != columns_of_relation(definition.relation)
        or (deployed and deployed.config.unique_key != definition.config.unique_key) %}
        {% set successor = successor_of(definition.relation) %}
        {% do create_relation(successor, definition, expanded.sql, columns) %}
        {% do swap({definition.relation: successor}) %}
        {% set outcome.word = 'rebuilt' %}
    {% elif definition.kind == 'view' %}
        {#- Where only what it reads has changed, the view itself stays: to lock two
            views at once could be a deadlock with a reader of both. -#}
        {% if not deployed or deployed.sql != definition.sql %}
            {% do run_query(
                'create or replace view ' ~ definition.relation ~ ' as\n' ~ definition.sql) %}
        {% endif %}
    {% else %}
        {% do run_all(create_indexes_of(definition.relation, definition, columns)) %}
        {% if not plan.has_its_rows %}
            {% do run_query(replace_rows(definition, expanded, columns)) %}
        {% endif %}
    {% endif %}
    {% do run_query(remember_model(definition, models, plan)) %}
    {% do install_triggers(definition, plan.triggers) %}
    {% do drop_stale_triggers(
        deployed.functions if deployed else [],
        plan.triggers.functions, names_of_triggers(plan.triggers)) %}

    {#- Changed rows have gone through the triggers; a changed view, and changed
        columns, are carried to the readers here. -#}
    {% if outcome.word == 'rebuilt' or definition.kind == 'view' %}
        {% for reader in models.values() if definition.relation in reader.parents %}
            {% do deploy_model(reader, refresh or outcome.word == 'rebuilt') %}
        {% endfor %}
    {% endif %}
    {{ return(outcome.word) }}
{% endmacro %}


{#- What the model is to be beside what is deployed. Of its relations, `stand_ins` has
    those whose rows and columns are to be read elsewhere until the transaction ends. -#}
{% macro planned_model(definition, models, deployed, refresh, stand_ins={}) %}
    {% set expanded = expanded_model(definition, models) %}
    {% set sql = namespace(text=expanded.sql) %}
    {% set moved = expanded.reads | select('in', stand_ins) | list %}
    {% for table in moved %}
        {% set sql.text = sql.text.replace(table, stand_ins[table]) %}
    {% endfor %}
    {% set exists = exists_relation(definition.relation) %}
    {% set hash = local_md5(
        definition.kind ~ expanded.sql ~ definition.config.unique_key | string) %}
    {% set same = exists and deployed and deployed.rows_hash == hash
        and not refresh and not moved %}

    {% set columns = columns_of_relation(definition.relation) if same
        else columns_of_query(sql.text) %}
    {% set triggers = {'functions': {}, 'triggers': {}} %}
    {% if definition.kind != 'view' %}
        {% do check_model(definition, expanded, columns, stand_ins) %}
        {% set triggers = maintaining_triggers(definition, expanded, columns, models) %}
    {% endif %}
    {% set triggers_hash = local_md5(triggers | string ~ definition.config.indexes | string) %}
    {% set in_place = triggers_are_in_place(definition, triggers.triggers) %}
    {#- Of a version that added to what was not finite -#}
    {% set is_lost = same and definition.kind == 'aggregate'
        and deployed.triggers_hash != triggers_hash and run_query(
            'select true as it from ' ~ definition.relation ~ ' where '
            ~ is_not_finite(definition, columns) ~ ' limit 1').rows | length > 0 %}
    {{ return({
        'definition': definition,
        'expanded': expanded,
        'sql': sql.text,
        'exists': exists,
        'columns': columns,
        'triggers': triggers,
        'rows_hash': hash,
        'triggers_hash': triggers_hash,
        'in_place': in_place,
        'has_its_rows': same and in_place and not is_lost,
        'is_deployed': same and in_place and deployed.triggers_hash == triggers_hash,
    }) }}
{% endmacro %}


{#- Lets nobody write to what the model reads until the transaction ends. -#}
{% macro block_writers(plan) %}
    {% for table in plan.triggers.triggers %}
        {% do run_query('lock table ' ~ table ~ ' in share row exclusive mode') %}
    {% endfor %}
{% endmacro %}


{% macro exists_relation(relation) %}
    {{ return(run_query(
        "select to_regclass('" ~ relation ~ "') is not null as it").rows[0]['it']) }}
{% endmacro %}


{#- The name under which a relation is made that is to take the place of another. -#}
{% macro successor_of(relation) %}
    {{ return(relation[:-1] ~ '__new"') }}
{% endmacro %}


{#- Puts relations in the place of others: {relation: its successor, or none}. -#}
{% macro swap(successors) %}
    {% do run_query(
        'select ' ~ maintenance_schema() ~ '.swap('
        ~ text_array(successors.keys()) ~ ', ' ~ text_array(successors.values()) ~ ')') %}
{% endmacro %}


{% macro text_array(texts) %}
    {%- set literals = [] -%}
    {%- for text in texts -%}
        {%- do literals.append('null' if text is none else "'" ~ text ~ "'") -%}
    {%- endfor -%}
    {{- return('array[' ~ literals | join(', ') ~ ']::text[]') -}}
{% endmacro %}


{% macro run_all(statements) %}
    {% if statements %}
        {% do run_query(statements | join(';\n')) %}
    {% endif %}
{% endmacro %}


{#- The catalogue's row of the model. Its rank is its distance from the sources. -#}
{% macro remember_model(definition, models, plan) %}
    {% set values = {
        'relation': definition.relation,
        'kind': definition.kind,
        'rank': rank_of_model(definition, models),
        'sql': definition.sql,
        'parents': tojson(definition.parents),
        'config': tojson(definition.config),
        'functions': tojson(plan.triggers.functions.keys() | list),
        'rows_hash': plan.rows_hash,
        'triggers_hash': plan.triggers_hash,
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
{% macro create_relation(relation, definition, sql, columns) %}
    {% if definition.kind == 'view' %}
        {% do run_query('create view ' ~ relation ~ ' as\n' ~ definition.sql) %}
    {% else %}
        {% do run_query('create table ' ~ relation ~ ' as\n' ~ sql) %}
        {% do create_indexes_of(relation, definition, columns) %}
        {% do run_query('alter table ' ~ relation ~ ' replica identity full') %}
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
    missing. Returns the statements that drop what is not in the config any more. -#}
{% macro create_indexes_of(relation, definition, columns) %}
    {% set name = name_of_relation(relation) %}
    {% set wanted = {} %}
    {% do wanted.update({
        name ~ '_key_' ~ local_md5(definition.config.unique_key | string)[:8]:
            'create unique index if not exists %I on %s ('
                ~ indexed_keys(definition, columns) ~ ') nulls not distinct'
    }) if definition.config.unique_key %}
    {% for index in definition.config.indexes %}
        {% do wanted.update({
            name ~ '_' ~ local_md5(index)[:8]:
                'create index if not exists %I on %s ' ~ index
        }) %}
    {% endfor %}
    {% for index, statement in wanted.items() %}
        {% do run_query(statement.replace('%I', adapter.quote(index)).replace('%s', relation)) %}
    {% endfor %}
    {% set stale = [] %}
    {% for row in run_query(
        "select indexrelid::regclass::text as index from pg_index where indrelid = '"
        ~ relation ~ "'::regclass and " ~ maintenance_schema() ~ '.is_index_of_model(indexrelid)'
    ).rows if row['index'].replace('"', '').split('.')[-1] not in wanted %}
        {% do stale.append('drop index ' ~ row['index']) %}
    {% endfor %}
    {{ return(stale) }}
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
