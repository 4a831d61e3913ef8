with checkouts as (
    select * from {{ ref('checkouts') }}
),

actual as (
    select * from {{ ref('minute_genders') }}
),

expected as (
    select
        date_trunc('minute', purchase_time) as minute,
        gender,
        count(*) as checkouts
    from checkouts
    where payment_status = 'success'
    group by date_trunc('minute', purchase_time), gender
),

{{ differences() }}
