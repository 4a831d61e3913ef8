{#- The catalogue: relation as rendered → what is deployed there. -#}
{% macro deployed_models() %}
    {% set models = {} %}
    {% for row in run_query(
        'select * from ' ~ maintenance_schema() ~ '.models order by rank'
    ).rows %}
        {% do models.update({row['relation']: {
            'relation': row['relation'],
            'kind': current_kind(row['kind']),
            'rank': row['rank'] | int,
            'sql': row['sql'],
            'parents': fromjson(row['parents']),
            'config': current_config(fromjson(row['config'])),
            'functions': fromjson(row['functions']),
            'rows_hash': row['rows_hash'],
            'triggers_hash': row['triggers_hash'],
        }}) %}
    {% endfor %}
    {#- A view that was edited may read another table than before: a condition on the old
        one then has no say, until the model itself is deployed. -#}
    {% for model in models.values() if model.config.affects_when %}
        {% set read = [] %}
        {% for table in expanded_model(model, models).reads %}
            {% do read.append(name_of_relation(table)) %}
        {% endfor %}
        {% for table in model.config.affects_when | list if table not in read %}
            {% do model.config.affects_when.pop(table) %}
        {% endfor %}
    {% endfor %}
    {{ return(models) }}
{% endmacro %}


{#- What an earlier version of the project called a kind of model, by today's name. -#}
{% macro current_kind(kind) %}
    {{ return({'map': 'per_row', 'recompute': 'by_key', 'accumulate': 'aggregate'}.get(kind, kind)) }}
{% endmacro %}


{#- A config that an earlier version of the project stored, by today's names. -#}
{% macro current_config(config) %}
    {% set current = {} %}
    {% for name, value in config.items() %}
        {% do current.update({{
            'keys': 'unique_key', 'touched_by': 'lookup_keys', 'touched_if': 'affects_when',
        }.get(name, name): value}) %}
    {% endfor %}
    {{ return(current) }}
{% endmacro %}
