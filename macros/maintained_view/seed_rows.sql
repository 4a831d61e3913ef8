{#- Has the table hold the file's rows, which are in the temporary table seed_file: a
    change like any other, of the difference alone, so that the triggers on the seed see
    it. A seed owns the rows that it brought, whose keys are in `seed_rows`; those that
    came any other way it leaves as they are, and names in a warning where the file has
    others of their keys.
    Returns {statements, is_retyped}: what is still to be done to the table, and whether
    columns have another type now. -#}
{% macro load_seed(seed) %}
    {% set relation, record = seed.relation, seed.record %}
    {% set names = quoted_names(seed.columns | map(attribute='name')) %}
    {% set is_new = not exists_relation(relation) %}
    {% set has_no_record = not is_new and not run_query(
        "select true as it from pg_trigger where tgname = '000_forget' and tgrelid = '" ~ relation ~ "'::regclass"
    ).rows %}
    {% set is_retyped = not is_new and alter_columns(seed) %}
    {% if is_new %}
        {% do run_query('create table ' ~ relation ~ ' as select ' ~ names | join(', ')
            ~ ' from pg_temp.seed_file where false') %}
        {% do run_all(seed.indexes) %}
    {% endif %}
    {% do run_query('create unique index if not exists '
        ~ adapter.quote(name_of_relation(relation) ~ '_key') ~ ' on ' ~ relation
        ~ ' (' ~ quoted_names(seed['keys']) | join(', ') ~ ')') %}

    {% set brought %}
        (
            select brought.*
            from {{ maintenance_schema() }}.seed_rows
            cross join jsonb_populate_record(null::{{ without_database(relation) }}, key) as brought
            where seed = '{{ record }}'
        ) as brought
    {% endset %}
    {% set differ = 'row(' ~ quoted_names(seed.columns | map(attribute='name'), 'stored.') | join(', ')
        ~ ') is distinct from row(' ~ quoted_names(seed.columns | map(attribute='name'), 'file.') | join(', ') ~ ')' %}
    {#- Of a version that kept no record: what is as the file says came from it -#}
    {% if has_no_record %}
        {% do run_query('insert into ' ~ maintenance_schema() ~ '.seed_rows'
            ~ " select '" ~ record ~ "', " ~ key_of_row(seed, 'stored') ~ ' from ' ~ relation ~ ' as stored'
            ~ ' inner join pg_temp.seed_file as file on ' ~ on_keys(seed, 'stored', 'file')
            ~ ' where not ' ~ differ ~ ' on conflict do nothing') %}
    {% endif %}
    {% do run_all(remembering(seed)) %}

    {% do run_query('delete from ' ~ relation ~ ' as stored using ' ~ brought
        ~ ' where ' ~ on_keys(seed, 'stored', 'brought')
        ~ ' and not exists (select from pg_temp.seed_file as file where '
        ~ on_keys(seed, 'file', 'brought') ~ ')') %}
    {% set changes = [] %}
    {% for name in names %}
        {% do changes.append(name ~ ' = file.' ~ name) %}
    {% endfor %}
    {% do run_query('update ' ~ relation ~ ' as stored set ' ~ changes | join(', ')
        ~ ' from pg_temp.seed_file as file, ' ~ brought
        ~ ' where ' ~ on_keys(seed, 'stored', 'file') ~ ' and ' ~ on_keys(seed, 'brought', 'file')
        ~ ' and ' ~ differ) %}
    {% do run_query('with inserted as ('
        ~ 'insert into ' ~ relation ~ ' (' ~ names | join(', ') ~ ') select ' ~ names | join(', ')
        ~ ' from pg_temp.seed_file as file where not exists (select from ' ~ relation ~ ' as stored where '
        ~ on_keys(seed, 'stored', 'file') ~ ') returning *'
        ~ ') insert into ' ~ maintenance_schema() ~ ".seed_rows select '" ~ record ~ "', "
        ~ key_of_row(seed, 'inserted') ~ ' from inserted') %}
    {% do warn_of_others(seed, brought, differ) %}

    {% set statements = checking(seed) %}
    {% for name in types_of_relation(relation)
        if name not in seed.columns | map(attribute='name') | list %}
        {% do statements.append('alter table ' ~ relation ~ ' drop column ' ~ adapter.quote(name)) %}
    {% endfor %}
    {{ return({'statements': statements, 'is_retyped': is_retyped}) }}
{% endmacro %}


{#- Adds the columns that the table lacks, and gives those that it has the types that they
    are declared to be of. Returns whether there were such. -#}
{% macro alter_columns(seed) %}
    {% set relation = seed.relation %}
    {% set types = types_of_relation(relation) %}
    {% set wanted = types_of_relation('pg_temp.seed_file') %}
    {% set retyped = [] %}
    {% for column in seed.columns %}
        {% set name, type = adapter.quote(column.name), wanted[column.name] %}
        {% if column.name not in types %}
            {% do run_query('alter table ' ~ relation ~ ' add column ' ~ name ~ ' ' ~ type) %}
        {% elif type != types[column.name] %}
            {% for row in run_query(
                'select ' ~ name ~ '::text as value, ' ~ quoted_names(seed['keys']) | join(', ')
                ~ ' from ' ~ relation ~ ' where not pg_input_is_valid(' ~ name ~ "::text, '" ~ type ~ "') limit 1"
            ).rows %}
                {% do stored_error(seed, row, column.name, type) %}
            {% endfor %}
            {% do retyped.append('alter column ' ~ name ~ ' type ' ~ type ~ ' using ' ~ name ~ '::text::' ~ type) %}
        {% endif %}
    {% endfor %}
    {% if retyped %}
        {#- What would hold on to the old types; both are made again -#}
        {% do run_query('drop trigger if exists "000_forget" on ' ~ relation) %}
        {% for name, said in checks_of(relation).items() if said.startswith('seed: ') %}
            {% do run_query('alter table ' ~ relation ~ ' drop constraint ' ~ adapter.quote(name)) %}
        {% endfor %}
        {% do run_query('select ' ~ maintenance_schema() ~ '.swap(' ~ text_array([relation])
            ~ ", array[null], 'alter table " ~ relation ~ ' '
            ~ retyped | join(', ') | replace("'", "''") ~ "')") %}
    {% endif %}
    {{ return(retyped | length > 0) }}
{% endmacro %}


{#- Names the rows that are in the way of the file's. -#}
{% macro warn_of_others(seed, brought, differ) %}
    {% set keys = quoted_names(seed['keys'], 'file.') | join(', ') %}
    {% set others = run_query(
        'select count(*) over () as number, line_of_file, ' ~ keys ~ ' from ' ~ seed.relation ~ ' as stored'
        ~ ' inner join pg_temp.seed_file as file on ' ~ on_keys(seed, 'stored', 'file')
        ~ ' left join ' ~ brought ~ ' on ' ~ on_keys(seed, 'brought', 'file')
        ~ ' where ' ~ differ ~ ' and brought.' ~ adapter.quote(seed['keys'][0]) ~ ' is null'
        ~ ' order by line_of_file limit 5').rows %}
    {% if others %}
        {% set named = [] %}
        {% for row in others %}
            {% do named.append('line ' ~ row['line_of_file'] ~ ' (' ~ row.values()[2:] | join(', ') ~ ')') %}
        {% endfor %}
        {% do exceptions.warn(
            seed.file ~ ': ' ~ others[0]['number'] ~ ' rows have the key of a row that did not come from a seed,'
            ~ ' which stays as it is: ' ~ named | join(', ')
            ~ (', …' if others[0]['number'] > 5 else '')
            ~ ': delete the stored row and seed again, if the file is right') %}
    {% endif %}
{% endmacro %}


{% macro on_keys(seed, one, other) %}
    {%- for key in quoted_names(seed['keys']) -%}
        {{ one }}.{{ key }} = {{ other }}.{{ key }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{% endmacro %}


{#- The key of a row as `seed_rows` has it. -#}
{% macro key_of_row(seed, row) %}
    {{- maintenance_schema() }}.key_of_row(to_jsonb({{ row }}), array['{{ seed['keys'] | join("', '") }}'])
{%- endmacro %}


{#- What forgets a seed's row as soon as it is gone: one of its key that comes another way
    is not the seed's. -#}
{% macro remembering(seed) %}
    {% set function = maintenance_schema() ~ '.forget_seed_row' %}
    {% set arguments = "('" ~ seed.record ~ "', '" ~ seed['keys'] | join("', '") ~ "')" %}
    {{ return([
        'create or replace trigger "000_forget" after delete or update of '
            ~ quoted_names(seed['keys']) | join(', ') ~ ' on ' ~ seed.relation
            ~ ' for each row execute function ' ~ function ~ arguments,
        'alter table ' ~ seed.relation ~ ' enable always trigger "000_forget"',
        'create or replace trigger "000_forget_all" after truncate on ' ~ seed.relation
            ~ ' for each statement execute function ' ~ function ~ arguments,
        'alter table ' ~ seed.relation ~ ' enable always trigger "000_forget_all"',
    ]) }}
{% endmacro %}


{#- The condition that a column is wrong, by its check: that also where it is null. -#}
{% macro is_wrong(seed, name) %}
    {{- '(' ~ seed.checks[name].condition ~ ') is not true' -}}
{% endmacro %}


{#- The check constraints of a table: {name: comment}. That of a seed's tells its check. -#}
{% macro checks_of(relation) %}
    {% set checks = {} %}
    {% for row in run_query(
        "select conname, obj_description(oid, 'pg_constraint') as said from pg_constraint"
        ~ " where conrelid = '" ~ relation ~ "'::regclass and contype = 'c'"
    ).rows %}
        {% do checks.update({row['conname']: row['said'] or ''}) %}
    {% endfor %}
    {{ return(checks) }}
{% endmacro %}


{#- The statements that give the table its checks where they are missing, once every row
    in it passes them. -#}
{% macro checking(seed) %}
    {% set relation = seed.relation %}
    {% set there = checks_of(relation) %}
    {% set wanted = {} %}
    {% set statements = [] %}
    {% for name, check in seed.checks.items() %}
        {% set constraint = short_name(
            name ~ '_is_' ~ modules.re.sub('[^a-z0-9]+', '_', check.expected), 'check') %}
        {% set said = 'seed: ' ~ check.condition %}
        {% do wanted.update({constraint: said}) %}
        {% if there.get(constraint) != said %}
            {% for row in run_query(
                'select ' ~ adapter.quote(name) ~ '::text as value, ' ~ quoted_names(seed['keys']) | join(', ')
                ~ ' from ' ~ relation ~ ' where ' ~ is_wrong(seed, name) ~ ' limit 1'
            ).rows %}
                {% do stored_error(seed, row, name, check.expected) %}
            {% endfor %}
            {% do statements.extend([
                'alter table ' ~ relation ~ ' add constraint ' ~ adapter.quote(constraint)
                    ~ ' check ((' ~ check.condition ~ ') is true)',
                'comment on constraint ' ~ adapter.quote(constraint) ~ ' on ' ~ relation
                    ~ " is '" ~ said | replace("'", "''") ~ "'",
            ]) %}
        {% endif %}
    {% endfor %}
    {% for constraint, said in there.items() if said.startswith('seed: ') and wanted.get(constraint) != said %}
        {% do statements.insert(0,
            'alter table ' ~ relation ~ ' drop constraint ' ~ adapter.quote(constraint)) %}
    {% endfor %}
    {{ return(statements) }}
{% endmacro %}


{#- Raises the error that a stored row, of which there are value and keys, is wrong. -#}
{% macro stored_error(seed, row, name, expected) %}
    {% set key = [] %}
    {% for column in seed['keys'] %}
        {% do key.append(column ~ " '" ~ row[column] ~ "'") %}
    {% endfor %}
    {% do exceptions.raise_compiler_error(
        'the table ' ~ seed.record ~ ', row ' ~ key | join(', ') ~ ': ' ~ name ~ ' is '
        ~ ('null' if row['value'] is none else row['value']) ~ ', expected ' ~ expected
        ~ ': correct it by SQL and deploy again') %}
{% endmacro %}
