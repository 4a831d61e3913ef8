{#- RisingWave's view is of its last barrier's time, not of this statement's. -#}
{{ config(enabled=target.name != 'risingwave') }}

with checkouts as (
    select * from {{ ref('checkouts') }}
),

actual as (
    select * from {{ ref('last_hour_genders') }}
),

expected as (
    select
        gender,
        count(*) as checkouts
    from checkouts
    where
        payment_status = 'success'
        and {{ lasts('purchase_time', '1 hour') }}
    group by gender
),

missing as (
    select * from expected
    except all
    select * from actual
),

surplus as (
    select * from actual
    except all
    select * from expected
)

select
    'missing' as problem,
    missing.*
from missing
union all
select
    'surplus' as problem,
    surplus.*
from surplus
