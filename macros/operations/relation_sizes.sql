{#- Select the size of each relation of the schema that is stored: relation, row_count
    and bytes, including its indexes. The engine estimates them; a value is null if it
    can't. -#}
{% macro relation_sizes() %}
    {{- adapter.dispatch('relation_sizes')() -}}
{% endmacro %}

{% macro default__relation_sizes() -%}
    select
        relname::text as relation,
        n_live_tup as row_count,
        pg_total_relation_size(relid) as bytes
    from pg_stat_all_tables
    where schemaname = '{{ target.schema }}'
{%- endmacro %}

{% macro materialize__relation_sizes() -%}
    select
        mz_objects.name as relation,
        null::bigint as row_count,
        mz_recent_storage_usage.size_bytes::bigint as bytes
    from mz_catalog.mz_recent_storage_usage
    inner join mz_catalog.mz_objects
        on mz_recent_storage_usage.object_id = mz_objects.id
    inner join mz_catalog.mz_schemas
        on mz_objects.schema_id = mz_schemas.id
    where mz_schemas.name = '{{ target.schema }}'
{%- endmacro %}

{#- `rw_relations` would do, but it is a view, and RisingWave can't create a view of
    it. -#}
{% macro risingwave__relation_sizes() -%}
    select
        relations.name as relation,
        rw_table_stats.total_key_count::bigint as row_count,
        (rw_table_stats.total_key_size + rw_table_stats.total_value_size)::bigint
            as bytes
    from rw_catalog.rw_table_stats
    inner join (
        select id, name, schema_id from rw_catalog.rw_tables
        union all
        select id, name, schema_id from rw_catalog.rw_materialized_views
    ) as relations
        on rw_table_stats.id = relations.id
    inner join rw_catalog.rw_schemas
        on relations.schema_id = rw_schemas.id
    where rw_schemas.name = '{{ target.schema }}'
{%- endmacro %}
