{#- Not on RisingWave: its view shows the hour before the last barrier, not the hour
    before this query. -#}
{{ config(enabled=target.name != 'risingwave') }}

with checkouts as (
    select * from {{ ref('checkouts') }}
),

actual as (
    select * from {{ ref('last_hour_payment_failures') }}
),

expected as (
    select
        failure_reason,
        count(*) as checkouts
    from checkouts
    where
        payment_status = 'failure'
        and {{ temporal_filter('purchase_time', '1 hour') }}
    group by failure_reason
),

{{ differences() }}
