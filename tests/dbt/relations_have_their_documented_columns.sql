{#- The names and the order of the columns are part of the contract. The YAML beside the
    models lists them in that order. -#}
-- depends_on: {{ ref('earliest_clicks') }}, {{ ref('checkouts_topic') }}
-- depends_on: {{ ref('pipeline_health') }}, {{ ref('rejections') }}
-- depends_on: {{ ref('last_hour_sources') }}, {{ ref('last_hour_revenue') }}
-- depends_on: {{ ref('last_hour_categories') }}, {{ ref('last_hour_genders') }}
-- depends_on: {{ ref('last_hour_payment_failures') }}
{%- set kinds = ['seed', 'kafka_table', 'kafka_sink', 'materialized_view', 'view'] %}
{%- set relations = graph.nodes.values()
    | selectattr('resource_type', 'in', ['model', 'seed'])
    | selectattr('schema', 'equalto', target.schema)
    | selectattr('config.materialized', 'in', kinds) | list %}

with documented as (
    {%- for relation in relations %}
    select
        '{{ relation.alias }}' as relation,
        '{{ relation.columns | join(", ") }}' as column_names
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

actual as (
    select
        table_name as relation,
        string_agg(column_name, ', ' order by ordinal_position) as column_names
    from information_schema.columns
    where table_schema = '{{ target.schema }}'
    group by table_name
)

select
    documented.relation,
    documented.column_names as documented_columns,
    actual.column_names as actual_columns
from documented
left join actual on documented.relation = actual.relation
where documented.column_names is distinct from actual.column_names
