{#- A table that triggers keep equal to the model's SQL: see the README beside. -#}
{% materialization materialized_view, adapter='postgres' %}
    {% do return(maintained_materialization(config.get('delta', 'none'))) %}
{% endmaterialization %}
