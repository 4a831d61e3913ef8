{#- Not on RisingWave: its view shows the hour before the last barrier, not the hour
    before this query. -#}
{{ config(enabled=target.name != 'risingwave') }}

with checkouts as (
    select * from {{ ref('checkouts') }}
),

actual as (
    select * from {{ ref('last_hour_sources') }}
),

expected as (
    select
        source,
        source <> 'Unknown' as is_advertisement,
        count(*) as checkouts,
        sum(total_cost) as revenue,
        sum(profit) as profit
    from checkouts
    where
        payment_status = 'success'
        and click_id is not null
        and {{ temporal_filter('purchase_time', '1 hour') }}
    group by source
),

{{ differences() }}
