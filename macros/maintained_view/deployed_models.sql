{#- The catalogue: relation as rendered → what is deployed there. -#}
{% macro deployed_models() %}
    {% set models = {} %}
    {% for row in run_query(
        'select * from ' ~ maintenance_schema() ~ '.models order by rank'
    ).rows %}
        {% do models.update({row['relation']: {
            'relation': row['relation'],
            'kind': row['kind'],
            'rank': row['rank'] | int,
            'sql': row['sql'],
            'parents': fromjson(row['parents']),
            'config': fromjson(row['config']),
            'functions': fromjson(row['functions']),
            'rows_hash': row['rows_hash'],
            'triggers_hash': row['triggers_hash'],
        }}) %}
    {% endfor %}
    {{ return(models) }}
{% endmacro %}
