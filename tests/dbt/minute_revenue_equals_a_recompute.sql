with checkouts as (
    select * from {{ ref('checkouts') }}
),

actual as (
    select * from {{ ref('minute_revenue') }}
),

expected as (
    select
        date_trunc('minute', purchase_time) as minute,
        count(*) as checkouts,
        sum(quantity)::bigint as units,
        sum(total_cost) as revenue,
        sum(profit) as profit,
        count(click_id) as attributed_checkouts,
        coalesce(sum(case when click_id is not null then total_cost end), 0)
            as attributed_revenue,
        coalesce(sum(case when click_id is not null then profit end), 0)
            as attributed_profit
    from checkouts
    where payment_status = 'success'
    group by date_trunc('minute', purchase_time)
),

{{ differences() }}
