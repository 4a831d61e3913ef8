{#- `dbt seed` again is a change like any other: the file's rows are compared with
    the stored ones and the difference alone is written, so that the triggers on the
    seed see it. dbt's own way, to empty the table and fill it, would withdraw and
    derive everything anew. -#}
{% macro postgres__reset_csv_table(model, full_refresh, old_relation, agate_table) %}
    {% if adapter.type() != 'postgres' %}
        {{ return(default__reset_csv_table(model, full_refresh, old_relation, agate_table)) }}
    {% endif %}
    {{ return('') }}
{% endmacro %}


{% macro postgres__load_csv_rows(model, agate_table) %}
    {% if adapter.type() != 'postgres' %}
        {{ return(default__load_csv_rows(model, agate_table)) }}
    {% endif %}
    {% set types = model.config.get('column_types', {}) %}
    {% set keys = maintained_list(model.config.get('keys', [])) %}
    {% if not keys %}
        {% do exceptions.raise_compiler_error(
            "seed " ~ this ~ ": keys are missing: expected the columns that identify a row") %}
    {% endif %}
    {% set columns = [] %}
    {% for name in agate_table.column_names %}
        {% do columns.append({
            'name': name,
            'type': types.get(name, adapter.convert_type(agate_table, loop.index0)),
        }) %}
    {% endfor %}
    {% set rows = [] %}
    {% for row in agate_table.rows %}
        {% set fields = {} %}
        {% for column in columns %}
            {% do fields.update({column.name: row[loop.index0] | string
                if row[loop.index0] is not none else none}) %}
        {% endfor %}
        {% do rows.append(fields) %}
    {% endfor %}
    {% set seed = {
        'relation': this.render(), 'kind': 'seed', 'columns': columns, 'keys': keys,
        'rows': tojson(rows),
    } %}
    {% call statement('serialise', auto_begin=True) %}
        select {{ maintenance_schema() }}.serialise()
    {% endcall %}
    {% if var('at_once', false) %}
        {% do graph.setdefault('left_to_the_end', []).append(seed) %}
    {% else %}
        {% do run_all(load_seed(seed)) %}
    {% endif %}
    {{ return('') }}
{% endmacro %}


{#- Has the table hold the file's rows. Returns the statements that drop the columns that
    the file has no more. -#}
{% macro load_seed(seed) %}
    {% set relation, columns, keys = seed.relation, seed.columns, seed['keys'] %}
    {% set stored = columns_of_relation(relation) | map(attribute='name') | list %}
    {% for column in columns if column.name not in stored %}
        {% do run_query('alter table ' ~ relation ~ ' add column ' ~ column.name ~ ' ' ~ column.type) %}
    {% endfor %}
    {% do run_query('create unique index if not exists '
        ~ adapter.quote(name_of_relation(relation) ~ '_key') ~ ' on ' ~ relation
        ~ ' (' ~ keys | join(', ') ~ ')') %}
    {% set sql %}
        with file as (
            select * from jsonb_to_recordset(%s::jsonb) as file (
                {%- for column in columns %}
                {{ column.name }} {{ column.type }}{{ ',' if not loop.last }}
                {%- endfor %}
            )
        )
        merge into {{ relation }} as stored
        using file
        on {% for key in keys %}stored.{{ key }} = file.{{ key }}{{ ' and ' if not loop.last }}{% endfor %}
        when matched and (
            {%- for column in columns %}
            stored.{{ column.name }} is distinct from file.{{ column.name }}{{ ' or' if not loop.last }}
            {%- endfor %}
        ) then update set
            {%- for column in columns %}
            {{ column.name }} = file.{{ column.name }}{{ ',' if not loop.last }}
            {%- endfor %}
        when not matched by source then delete
        when not matched by target then insert ({{ columns | map(attribute='name') | join(', ') }})
            values (file.{{ columns | map(attribute='name') | join(', file.') }})
    {% endset %}
    {% do adapter.add_query(sql, bindings=[seed.rows], abridge_sql_log=True) %}
    {% set dropping = [] %}
    {% for name in stored if name not in columns | map(attribute='name') | list %}
        {% do dropping.append('alter table ' ~ relation ~ ' drop column ' ~ name) %}
    {% endfor %}
    {{ return(dropping) }}
{% endmacro %}
