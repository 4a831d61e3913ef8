{#- Ids and words are text, counts bigint, money numeric, times timestamptz, and
    messages bytea. In the messages of `checkouts_topic`, everything except the quantity
    is text. -#}
{{ config(enabled=target.name == 'embedded') }}
-- depends_on: {{ ref('earliest_clicks') }}, {{ ref('checkouts_topic') }}
-- depends_on: {{ ref('pipeline_health') }}, {{ ref('rejections') }}
-- depends_on: {{ ref('last_hour_sources') }}, {{ ref('last_hour_revenue') }}
-- depends_on: {{ ref('last_hour_categories') }}, {{ ref('last_hour_genders') }}
-- depends_on: {{ ref('last_hour_payment_failures') }}
{%- set relations = graph.nodes.values()
    | selectattr('resource_type', 'equalto', 'model')
    | selectattr('fqn.1', 'in', ['staging', 'attribution', 'insights', 'health', 'sinks'])
    | map(attribute='alias') | join("', '") %}

with actual as (
    select
        table_name,
        column_name,
        data_type,
        case
            when column_name in (
                'quantity', 'units', 'checkouts', 'attributed_checkouts',
                'accepted', 'rejected', 'messages', 'row_count', 'bytes',
                'lag_messages', 'lost_messages', 'kafka_offset', 'failures'
            ) then 'bigint'
            when column_name = 'kafka_partition' then 'integer'
            when column_name = 'is_advertisement' then 'boolean'
            when column_name in ('message_key', 'message_value') then 'bytea'
            when table_name = 'checkouts_topic' then 'text'
            when column_name in (
                'discount', 'shipping_cost', 'claimed_total_cost', 'total_cost',
                'revenue', 'attributed_revenue', 'profit', 'attributed_profit',
                'freshness_seconds'
            ) then 'numeric'
            when column_name = 'minute' or column_name like '%\_time'
                then 'timestamp with time zone'
            else 'text'
        end as expected_type
    from information_schema.columns
    where
        table_schema = '{{ target.schema }}'
        and table_name in ('{{ relations }}')
)

select * from actual
where data_type <> expected_type
