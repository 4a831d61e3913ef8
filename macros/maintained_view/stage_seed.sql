{#- Puts the file's rows into the temporary table seed_file, in the columns' types.
    Raises a compiler error of one line for the first row with a field that its column
    can't hold or may not, or with another row's key. -#}
{% macro stage_seed(seed) %}
    {% do run_query('drop table if exists pg_temp.seed_texts, pg_temp.seed_file') %}
    {#- No names in it: beside bindings, a percent sign in one would be taken for another -#}
    {% do adapter.add_query(
        'create temporary table seed_texts on commit drop as'
        ~ ' select (fields ->> 0)::bigint as line, fields'
        ~ ' from jsonb_array_elements(%s::jsonb) as fields',
        bindings=[seed.rows], abridge_sql_log=True) %}
    {% set stored = types_of_relation(seed.relation) %}
    {% set typed = [] %}
    {% for column in seed.columns %}
        {#- A type that dbt inferred from the file gives way to the stored one -#}
        {% if not column.is_declared and column.name in stored
            and not first_misfit(column.place, stored[column.name]) %}
            {% do column.update({'type': stored[column.name]}) %}
        {% endif %}
        {% for row in first_misfit(column.place, column.type) %}
            {% do field_error(seed, row, column, column.type) %}
        {% endfor %}
        {% do typed.append('(fields ->> ' ~ column.place ~ ')::' ~ column.type
            ~ ' as ' ~ adapter.quote(column.name)) %}
    {% endfor %}
    {% do run_query(
        'create temporary table seed_file on commit drop as'
        ~ ' select line as line_of_file, ' ~ typed | join(', ') ~ ' from pg_temp.seed_texts') %}

    {% for row in run_query(
        'select fields::text, first_line'
        ~ ' from (select line_of_file, min(line_of_file) over (partition by '
        ~ quoted_names(seed['keys']) | join(', ') ~ ') as first_line from pg_temp.seed_file) as keyed'
        ~ ' inner join pg_temp.seed_texts on line = line_of_file'
        ~ ' where line > first_line order by line limit 1'
    ).rows %}
        {% do seed_error(seed, fromjson(row['fields']), 'the key is that of line '
            ~ row['first_line'] ~ ', expected a key of its own') %}
    {% endfor %}
    {% for column in seed.columns if column.name in seed.checks %}
        {% for row in run_query(
            'select fields::text from pg_temp.seed_file'
            ~ ' inner join pg_temp.seed_texts on line = line_of_file'
            ~ ' where ' ~ is_wrong(seed, column.name) ~ ' order by line limit 1'
        ).rows %}
            {% do field_error(seed, row, column, seed.checks[column.name].expected) %}
        {% endfor %}
    {% endfor %}
{% endmacro %}


{#- The first row with a text in that place that is none of the type: one or no row. -#}
{% macro first_misfit(place, type) %}
    {{ return(run_query(
        'select fields::text from pg_temp.seed_texts'
        ~ " where not pg_input_is_valid(fields ->> " ~ place ~ ", '" ~ type ~ "')"
        ~ ' order by line limit 1'
    ).rows) }}
{% endmacro %}


{#- Raises the error that a row has the wrong field. -#}
{% macro field_error(seed, row, column, expected) %}
    {% set fields = fromjson(row['fields']) %}
    {% set field = fields[column.place] %}
    {% do seed_error(seed, fields, column.name ~ ' is '
        ~ ('empty' if field is none else "'" ~ field ~ "'") ~ ', expected ' ~ expected) %}
{% endmacro %}


{% macro quoted_names(names, prefix='') %}
    {% set quoted = [] %}
    {% for name in names %}
        {% do quoted.append(prefix ~ adapter.quote(name)) %}
    {% endfor %}
    {{ return(quoted) }}
{% endmacro %}


{#- The columns of a relation that is there: {name: type}. -#}
{% macro types_of_relation(relation) %}
    {% set types = {} %}
    {% if exists_relation(relation) %}
        {% for column in columns_of_relation(relation) %}
            {% do types.update({column.name: column.type}) %}
        {% endfor %}
    {% endif %}
    {{ return(types) }}
{% endmacro %}
