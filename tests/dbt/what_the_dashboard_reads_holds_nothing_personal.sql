{#- Checks the names of the columns, in all relations from earliest_clicks
    downstream. -#}
-- depends_on: {{ ref('earliest_clicks') }}, {{ ref('checkouts_topic') }}
-- depends_on: {{ ref('pipeline_health') }}, {{ ref('rejections') }}
{%- set relations = graph.nodes.values()
    | selectattr('resource_type', 'equalto', 'model')
    | selectattr('fqn.1', 'in', ['attribution', 'insights', 'health', 'sinks'])
    | map(attribute='alias') | join("', '") %}

select
    table_name,
    column_name
from information_schema.columns
where
    table_schema = '{{ target.schema }}'
    and table_name in ('{{ relations }}')
    and column_name in (
        'name', 'email', 'phone', 'location', 'birth_day',
        'ip', 'payload', 'event_key'
    )
