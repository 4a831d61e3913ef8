with clicks as (
    select * from {{ ref('base_clicks') }}
),

purchases as (
    select * from {{ ref('int_purchases_validated') }}
)

select
    'clicks' as topic,
    click_id as event_id,
    null::text as hexadecimal_key,
    click_time as event_time
from clicks
where
    click_time < {{ retained_since() }} - {{ interval_of('attribution_window') }}

union all

select
    'purchases' as topic,
    purchase_id as event_id,
    null::text as hexadecimal_key,
    purchase_time as event_time
from purchases
where purchase_time < {{ retained_since() }}

union all

select
    'clicks' as topic,
    null::text as event_id,
    encode(message_key, 'hex') as hexadecimal_key,
    kafka_time as event_time
from clicks
where
    reason is not null
    and message_key is not null
    and kafka_time < {{ retained_since() }}

union all

select
    'purchases' as topic,
    null::text as event_id,
    encode(message_key, 'hex') as hexadecimal_key,
    kafka_time as event_time
from purchases
where
    reason is not null
    and message_key is not null
    and kafka_time < {{ retained_since() }}
