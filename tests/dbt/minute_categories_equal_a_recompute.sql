with checkouts as (
    select * from {{ ref('checkouts') }}
),

actual as (
    select * from {{ ref('minute_categories') }}
),

expected as (
    select
        date_trunc('minute', purchase_time) as minute,
        category,
        count(*) as checkouts,
        sum(quantity)::bigint as units,
        sum(total_cost) as revenue
    from checkouts
    where payment_status = 'success'
    group by date_trunc('minute', purchase_time), category
),

{{ differences() }}
