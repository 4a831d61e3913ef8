with checkouts as (
    select * from {{ ref('checkouts') }}
),

actual as (
    select * from {{ ref('minute_payment_failures') }}
),

expected as (
    select
        date_trunc('minute', purchase_time) as minute,
        failure_reason,
        count(*) as checkouts
    from checkouts
    where payment_status = 'failure'
    group by date_trunc('minute', purchase_time), failure_reason
),

{{ differences() }}
