{#- RisingWave's view is of its last barrier's time, not of this statement's. -#}
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
        and {{ lasts('purchase_time', '1 hour') }}
    group by source
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
