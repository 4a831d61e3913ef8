with checkouts as (
    select * from {{ ref('checkouts') }}
),

actual as (
    select * from {{ ref('minute_sources') }}
),

expected as (
    select
        date_trunc('minute', purchase_time) as minute,
        source,
        source <> 'Unknown' as is_advertisement,
        count(*) as checkouts,
        sum(total_cost) as revenue,
        sum(profit) as profit
    from checkouts
    where
        payment_status = 'success'
        and click_id is not null
    group by date_trunc('minute', purchase_time), source
),

{{ differences() }}
