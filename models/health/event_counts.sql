{{ config(delta='accumulate', keys=['topic'], count='events') }}

with clicks as (
    select * from {{ ref('typed_clicks') }}
),

purchases as (
    select * from {{ ref('checked_purchases') }}
)

select
    'clicks' as topic,
    count(*) as events,
    count(*) filter (where reason is null) as accepted,
    count(*) filter (where reason is not null) as rejected
from clicks
group by 1

union all

select
    'purchases' as topic,
    count(*) as events,
    count(*) filter (where reason is null) as accepted,
    count(*) filter (where reason is not null) as rejected
from purchases
group by 1
