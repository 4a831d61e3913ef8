{#- Raises a compiler error, which names the model, where its config can't keep it. -#}
{% macro check_model(definition, expanded, columns, stand_ins) %}
    {% set config = definition.config %}
    {% set names = columns | map(attribute='name') | list %}
    {% set kinds = ['per_row', 'by_key', 'aggregate'] %}
    {% set problems = [] %}
    {% if definition.kind not in kinds %}
        {% do problems.append("delta is '" ~ definition.kind ~ "': expected one of " ~ kinds | join(', ')) %}
    {% endif %}
    {% if not config.unique_key %}
        {% do problems.append("unique_key is missing: expected the columns that identify a row") %}
    {% endif %}
    {% for key in config.unique_key if key not in names %}
        {% do problems.append("the key '" ~ key ~ "' is none of its columns: " ~ names | join(', ')) %}
    {% endfor %}
    {% if not expanded.reads %}
        {% do problems.append("it reads no relation by ref() or source()") %}
    {% endif %}
    {% for table, ways in expanded.reads.items() if expanded.sql.count(table) > 1 %}
        {% set declared = [] %}
        {% for way in ways if way.path | select('in', config.lookup_keys) | list %}
            {% do declared.append(way) %}
        {% endfor %}
        {% if declared | length < expanded.sql.count(table) %}
            {% do problems.append("it reads " ~ table ~ " more than once: expected once, in an import CTE, or by relations in lookup_keys") %}
        {% endif %}
    {% endfor %}
    {% set words = modules.re.sub("--[^\n]*|'[^']*'", ' ', expanded.sql).lower() %}
    {% if modules.re.search('\\b(now\\s*\\(|current_timestamp|clock_timestamp|statement_timestamp|random\\s*\\()', words) %}
        {% do problems.append("it reads the clock or chance: expected what its relations alone decide (make it a view)") %}
    {% endif %}
    {% set looked_up_in = looked_up(definition, expanded) if definition.kind == 'per_row' else [] %}
    {% if looked_up_in %}
        {% set words = modules.re.sub('\\bleft join\\b', ' ', words) %}
        {% set origins = expanded.reads | reject('in', looked_up_in) | list %}
        {% if origins | length != 1 %}
            {% do problems.append("delta='per_row' with lookup_keys reads " ~ origins | length ~ " relations that are not in it: expected one, of which each row is a row's origin") %}
        {% else %}
            {% set there = columns_of_query(
                'select * from ' ~ stand_ins.get(origins[0], origins[0])) | map(attribute='name') | list %}
            {% for key in config.unique_key if key not in there %}
                {% do problems.append("the key '" ~ key ~ "' is no column of " ~ origins[0] ~ ", whose rows are looked up by it") %}
            {% endfor %}
        {% endif %}
    {% endif %}
    {% if definition.kind in ['per_row', 'aggregate'] and modules.re.search('\\bjoin\\b|\\bexists\\b|\\bover\\s*\\(|\\bdistinct\\b(?!\\s+from)|\\blimit\\b', words) %}
        {% do problems.append("delta='" ~ definition.kind ~ "' with a join, exists, distinct, limit or window: use delta='by_key', or left join relations in lookup_keys to per_row") %}
    {% endif %}
    {% if definition.kind == 'aggregate' %}
        {% if config.count not in names or config.count in config.unique_key %}
            {% do problems.append("count is '" ~ config.count ~ "': expected the column that holds count(*)") %}
        {% endif %}
        {% for column in columns if column.name not in config.unique_key
            and not modules.re.match('bigint|integer|numeric', column.type) %}
            {% do problems.append("column '" ~ column.name ~ "' is of type " ~ column.type ~ ": expected a number that adds up exactly, or a key") %}
        {% endfor %}
    {% endif %}
    {% set parents = {} %}
    {% for parent in definition.parents %}
        {% do parents.update({name_of_relation(parent): parent}) %}
    {% endfor %}
    {% for parent, by in config.lookup_keys.items() %}
        {% if definition.kind == 'aggregate' %}
            {% do problems.append("lookup_keys goes with delta='per_row' or 'by_key'") %}
        {% endif %}
        {% if parent not in parents %}
            {% do problems.append("lookup_keys names '" ~ parent ~ "', which it doesn't read") %}
        {% else %}
            {% set there = columns_of_query(
                'select * from ' ~ stand_ins.get(parents[parent], parents[parent])) | map(attribute='name') | list %}
            {% for column in maintained_list(by) if column not in names or column not in there %}
                {% do problems.append("lookup_keys names the column '" ~ column ~ "': expected one that both it and '" ~ parent ~ "' have") %}
            {% endfor %}
        {% endif %}
    {% endfor %}
    {% set tables = [] %}
    {% for table in expanded.reads %}
        {% do tables.append(name_of_relation(table)) %}
    {% endfor %}
    {% for table in config.get('affects_when', {}) %}
        {% if definition.kind != 'by_key' %}
            {% do problems.append("affects_when goes with delta='by_key'") %}
        {% endif %}
        {% if table not in tables %}
            {% do problems.append("affects_when names '" ~ table ~ "': expected a table that it reads, not a view of one") %}
        {% endif %}
    {% endfor %}
    {% if problems %}
        {% do exceptions.raise_compiler_error(definition.relation ~ ": " ~ problems | unique | join("; ")) %}
    {% endif %}
{% endmacro %}
