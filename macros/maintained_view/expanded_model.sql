{#- The model's SQL with every view in it replaced by the view's own, and the
    tables that it then reads, each with the ways by which it is read.
    Returns {sql, reads: {table: [{path, sql, joins}]}}: the names from the model's
    parent to the table, the parent's SQL, and whether that reads other tables too. -#}
{% macro expanded_model(definition, models) %}
    {% set sql = namespace(text=definition.sql) %}
    {% set reads = {} %}
    {% for parent in definition.parents if parent in definition.sql %}
        {% if models.get(parent, {}).kind == 'view' %}
            {% set view = expanded_model(models[parent], models) %}
            {% set sql.text = sql.text.replace(parent, '(\n' ~ view.sql ~ '\n)') %}
            {% for table, ways in view.reads.items() %}
                {% for way in ways %}
                    {% do reads.setdefault(table, []).append({
                        'path': [name_of_relation(parent)] + way.path, 'sql': view.sql,
                        'joins': view.reads | length > 1}) %}
                {% endfor %}
            {% endfor %}
        {% else %}
            {% do reads.setdefault(parent, []).append(
                {'path': [name_of_relation(parent)], 'sql': parent, 'joins': false}) %}
        {% endif %}
    {% endfor %}
    {{ return({'sql': sql.text, 'reads': reads}) }}
{% endmacro %}
