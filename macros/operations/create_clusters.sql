{#- Materialize: create the clusters that the settings name, if they are missing. -#}
{% macro create_clusters() %}
    {% set names = [sources_cluster(), compute_cluster(), serving_cluster()] %}
    {% set there = run_query('select name from mz_catalog.mz_clusters').columns[0].values() %}
    {% for name in names | unique if name not in there %}
        {% do run_query(
            'create cluster ' ~ name ~ " (size = '" ~ cluster_size() ~ "')"
        ) %}
    {% endfor %}
{% endmacro %}
