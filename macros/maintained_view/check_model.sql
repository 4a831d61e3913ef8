{#- Raises a compiler error, which names the model, where its config can't keep it. -#}
{% macro check_model(definition, expanded, columns, stand_ins) %}
    {% set config = definition.config %}
    {% set names = columns | map(attribute='name') | list %}
    {% set kinds = ['map', 'recompute', 'accumulate'] %}
    {% set problems = [] %}
    {% if definition.kind not in kinds %}
        {% do problems.append("delta is '" ~ definition.kind ~ "': expected one of " ~ kinds | join(', ')) %}
    {% endif %}
    {% if not config['keys'] %}
        {% do problems.append("keys are missing: expected the columns that identify a row") %}
    {% endif %}
    {% for key in config['keys'] if key not in names %}
        {% do problems.append("the key '" ~ key ~ "' is none of its columns: " ~ names | join(', ')) %}
    {% endfor %}
    {% if not expanded.reads %}
        {% do problems.append("it reads no relation by ref() or source()") %}
    {% endif %}
    {% for table, ways in expanded.reads.items() if expanded.sql.count(table) > 1 %}
        {% set declared = [] %}
        {% for way in ways if way.path | select('in', config.touched_by) | list %}
            {% do declared.append(way) %}
        {% endfor %}
        {% if declared | length < expanded.sql.count(table) %}
            {% do problems.append("it reads " ~ table ~ " more than once: expected once, in an import CTE, or by relations in touched_by") %}
        {% endif %}
    {% endfor %}
    {% set words = modules.re.sub("--[^\n]*|'[^']*'", ' ', expanded.sql).lower() %}
    {% if modules.re.search('\\b(now\\s*\\(|current_timestamp|clock_timestamp|statement_timestamp|random\\s*\\()', words) %}
        {% do problems.append("it reads the clock or chance: expected what its relations alone decide (make it a view)") %}
    {% endif %}
    {% set looked_up_in = looked_up(definition, expanded) if definition.kind == 'map' else [] %}
    {% if looked_up_in %}
        {% set words = modules.re.sub('\\bleft join\\b', ' ', words) %}
        {% set origins = expanded.reads | reject('in', looked_up_in) | list %}
        {% if origins | length != 1 %}
            {% do problems.append("delta='map' with touched_by reads " ~ origins | length ~ " relations that are not in it: expected one, of which each row is a row's origin") %}
        {% else %}
            {% set there = columns_of_query(
                'select * from ' ~ stand_ins.get(origins[0], origins[0])) | map(attribute='name') | list %}
            {% for key in config['keys'] if key not in there %}
                {% do problems.append("the key '" ~ key ~ "' is no column of " ~ origins[0] ~ ", whose rows are looked up by it") %}
            {% endfor %}
        {% endif %}
    {% endif %}
    {% if definition.kind in ['map', 'accumulate'] and modules.re.search('\\bjoin\\b|\\bexists\\b|\\bover\\s*\\(|\\bdistinct\\b(?!\\s+from)|\\blimit\\b', words) %}
        {% do problems.append("delta='" ~ definition.kind ~ "' with a join, exists, distinct, limit or window: use delta='recompute', or left join relations in touched_by to a map") %}
    {% endif %}
    {% if definition.kind == 'accumulate' %}
        {% if config.count not in names or config.count in config['keys'] %}
            {% do problems.append("count is '" ~ config.count ~ "': expected the column that holds count(*)") %}
        {% endif %}
        {% for column in columns if column.name not in config['keys']
            and not modules.re.match('bigint|integer|numeric', column.type) %}
            {% do problems.append("column '" ~ column.name ~ "' is of type " ~ column.type ~ ": expected a number that adds up exactly, or a key") %}
        {% endfor %}
    {% endif %}
    {% set parents = {} %}
    {% for parent in definition.parents %}
        {% do parents.update({name_of_relation(parent): parent}) %}
    {% endfor %}
    {% for parent, by in config.touched_by.items() %}
        {% if definition.kind == 'accumulate' %}
            {% do problems.append("touched_by goes with delta='map' or 'recompute'") %}
        {% endif %}
        {% if parent not in parents %}
            {% do problems.append("touched_by names '" ~ parent ~ "', which it doesn't read") %}
        {% else %}
            {% set there = columns_of_query(
                'select * from ' ~ stand_ins.get(parents[parent], parents[parent])) | map(attribute='name') | list %}
            {% for column in maintained_list(by) if column not in names or column not in there %}
                {% do problems.append("touched_by names the column '" ~ column ~ "': expected one that both it and '" ~ parent ~ "' have") %}
            {% endfor %}
        {% endif %}
    {% endfor %}
    {% set tables = [] %}
    {% for table in expanded.reads %}
        {% do tables.append(name_of_relation(table)) %}
    {% endfor %}
    {% for table in config.get('touched_if', {}) %}
        {% if definition.kind != 'recompute' %}
            {% do problems.append("touched_if goes with delta='recompute'") %}
        {% endif %}
        {% if table not in tables %}
            {% do problems.append("touched_if names '" ~ table ~ "': expected a table that it reads, not a view of one") %}
        {% endif %}
    {% endfor %}
    {% if problems %}
        {% do exceptions.raise_compiler_error(definition.relation ~ ": " ~ problems | unique | join("; ")) %}
    {% endif %}
{% endmacro %}
