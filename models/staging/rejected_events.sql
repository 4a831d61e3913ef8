with clicks as (
    select * from {{ ref('base_clicks') }}
),

purchases as (
    select * from {{ ref('int_purchases_validated') }}
)

select
    'clicks' as topic,
    event_key,
    payload,
    reason,
    kafka_partition,
    kafka_offset,
    kafka_time
from clicks
where reason is not null

union all

select
    'purchases' as topic,
    event_key,
    payload,
    reason,
    kafka_partition,
    kafka_offset,
    kafka_time
from purchases
where reason is not null
