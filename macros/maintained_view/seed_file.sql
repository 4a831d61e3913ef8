{#- What a seed's file holds, once it has been found to be one: a field for each column
    of its header, a key in each row. dbt's reader fills rows that are too short and knows
    no lines; so the file is read a second time, as it is. Blank lines are passed over.
    Raises a compiler error of one line that names file, line and key.
    Returns {file, keys, checks, columns: [{name, type, is_declared, place}], rows, count}:
    the rows as JSON, each [line, field, …] with the fields as texts. -#}
{% macro seed_file() %}
    {% set seed = {
        'file': model.original_file_path,
        'keys': maintained_list(config.get('unique_key') or []),
        'checks': config.get('checks', {}),
        'columns': [],
    } %}
    {% if not seed['keys'] %}
        {% do exceptions.raise_compiler_error(
            "seed " ~ this ~ ": unique_key is missing: expected the columns that identify a row") %}
    {% endif %}
    {% set lines = lines_of_seed(seed) %}
    {% set table = load_agate_table() %}
    {% do store_result('agate_table', response='OK', agate_table=table) %}
    {% set types = config.get('column_types', {}) %}
    {% for column in seed.columns %}
        {% do column.update({
            'type': types.get(column.header, adapter.convert_type(table, loop.index0)),
            'is_declared': column.header in types,
        }) %}
    {% endfor %}

    {% set rows = [] %}
    {% for row in table.rows %}
        {% set fields = [lines[loop.index]] %}
        {% for field in row %}
            {% do fields.append(field | string if field is not none else none) %}
        {% endfor %}
        {% do rows.append(fields) if fields[0] %}
    {% endfor %}
    {% for column in seed.columns if column.name in seed['keys'] %}
        {% for fields in rows | selectattr(column.place, 'none') %}
            {% do seed_error(seed, fields,
                column.name ~ ' is empty, expected what identifies the row') %}
        {% endfor %}
    {% endfor %}
    {% do seed.update({'rows': tojson(rows), 'count': rows | length}) %}
    {{ return(seed) }}
{% endmacro %}


{#- The line on which each record of the file begins, none where that is blank; the
    header's first, whose columns are given to the seed. -#}
{% macro lines_of_seed(seed) %}
    {% set delimiter = config.get('delimiter', ',') %}
    {% set reader = run_query("select 'text' as a_text") %}
    {% set wrong = seed.file ~ ' is not a CSV file, expected a header and rows of fields'
        ~ ' separated by ' ~ delimiter ~ ': correct it and seed again' %}
    {% set place = seed.file if model.package_name == project_name
        else model.root_path ~ '/' ~ seed.file %}
    {% set header = try_or_compiler_error(
        wrong, reader.from_csv, place, encoding='utf-8-sig', row_limit=0, delimiter=delimiter) %}
    {% set width = header.column_names | length %}
    {% set records = try_or_compiler_error(
        wrong, reader.from_csv, place, encoding='utf-8-sig', header=false, line_numbers=true,
        column_names=range(width + 100) | map('string') | list,
        column_types=[reader.column_types[0]] * (width + 100),
        delimiter=delimiter).rows %}

    {% set lines = [] %}
    {% set read = namespace(lines=0) %}
    {% for record in records %}
        {% set fields = record.values() | reject('none') | list %}
        {% set line = read.lines + 1 %}
        {% set read.lines = fields[0] | int %}
        {% set problem = none %}
        {% if '\x00' in fields | join %}
            {% set problem = 'a zero byte, expected text: take it out' %}
        {% elif loop.first %}
            {% do seed.update({'columns': columns_of_seed(seed, line, fields[1:], delimiter)}) %}
        {% elif fields | length not in [1, width + 1] %}
            {% set problem = (fields | length - 1) ~ ' fields, expected ' ~ width
                ~ ' as in the header: put a field in double quotes if it holds ' ~ delimiter %}
        {% endif %}
        {% if problem %}
            {% do seed_error(seed, [line] + fields[1:], problem) %}
        {% endif %}
        {% do lines.append(line if fields | length > 1 else none) %}
    {% endfor %}
    {{ return(lines) }}
{% endmacro %}


{#- The columns that a header names. -#}
{% macro columns_of_seed(seed, line, header, delimiter) %}
    {% set columns = [] %}
    {% for name in header %}
        {% do columns.append({
            'header': name,
            'place': loop.index,
            'name': name if config.get('quote_columns') else name | lower,
        }) %}
    {% endfor %}
    {% set names = columns | map(attribute='name') | list %}
    {% for name in names if names.count(name) > 1 or not name %}
        {% do seed_error(seed, [line], ("the column " ~ name ~ " is there twice" if name
            else "a column has no name") ~ ", expected a name of its own for each: correct the header") %}
    {% endfor %}
    {% for name in seed['keys'] + (seed.checks | list) if name not in names %}
        {% do seed_error(seed, [line], 'no column ' ~ name ~ ', expected it in the header,'
            ~ ' with columns separated by ' ~ delimiter ~ ": the header is '" ~ header | join(delimiter) ~ "'") %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}


{#- Raises that error, of the row [line, field, …]. -#}
{% macro seed_error(seed, row, problem) %}
    {% set place = ['line ' ~ row[0]] %}
    {% for column in seed.columns if column.name in seed['keys'] and row[column.place] %}
        {% do place.append(column.name ~ " '" ~ row[column.place] ~ "'") %}
    {% endfor %}
    {% do exceptions.raise_compiler_error(
        seed.file ~ ', ' ~ place | join(', ') ~ ': ' ~ problem | replace('\n', ' ')) %}
{% endmacro %}
