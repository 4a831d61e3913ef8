{#- A plain view that maintained models may read: its SQL is remembered, and an
    edit of it reaches the models that were derived from it. -#}
{% materialization view, adapter='postgres' %}
    {% do return(maintained_materialization('view')) %}
{% endmaterialization %}
