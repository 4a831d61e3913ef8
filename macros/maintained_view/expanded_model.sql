{#- The model's SQL with every view in it replaced by the view's own, and the
    tables that it then reads, each with the parent that it is read through.
    Returns {sql, reads: {table: {parent, sql}}}; the inner sql is the parent's. -#}
{% macro expanded_model(definition, models) %}
    {% set sql = namespace(text=definition.sql) %}
    {% set reads = {} %}
    {% for parent in definition.parents if parent in definition.sql %}
        {% if models.get(parent, {}).kind == 'view' %}
            {% set view = expanded_model(models[parent], models) %}
            {% set sql.text = sql.text.replace(parent, '(\n' ~ view.sql ~ '\n)') %}
            {% for table in view.reads %}
                {% do reads.update({table: {'parent': parent, 'sql': view.sql}}) %}
            {% endfor %}
        {% else %}
            {% do reads.update({parent: {'parent': parent, 'sql': parent}}) %}
        {% endif %}
    {% endfor %}
    {{ return({'sql': sql.text, 'reads': reads}) }}
{% endmacro %}
