{#- Not on RisingWave: its view shows the hour before the last barrier, not the hour
    before this query. -#}
{{ config(enabled=target.name != 'risingwave') }}

with checkouts as (
    select * from {{ ref('checkouts') }}
),

actual as (
    select * from {{ ref('last_hour_revenue') }}
),

expected as (
    select
        count(*) as checkouts,
        coalesce(sum(quantity), 0)::bigint as units,
        coalesce(sum(total_cost), 0) as revenue,
        coalesce(sum(profit), 0) as profit,
        count(click_id) as attributed_checkouts,
        coalesce(sum(case when click_id is not null then total_cost end), 0)
            as attributed_revenue,
        coalesce(sum(case when click_id is not null then profit end), 0)
            as attributed_profit
    from checkouts
    where
        payment_status = 'success'
        and {{ temporal_filter('purchase_time', '1 hour') }}
),

{{ differences() }}
