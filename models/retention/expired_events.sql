with clicks as (
    select * from {{ ref('typed_clicks') }}
),

purchases as (
    select * from {{ ref('checked_purchases') }}
),

rejected_events as (
    select * from {{ ref('rejected_events') }}
    where kafka_time < {{ retained_since() }}
),

click_messages as (
    {{ latest_messages(ref('raw_clicks')) }}
),

purchase_messages as (
    {{ latest_messages(ref('raw_purchases')) }}
)

select
    'clicks' as topic,
    click_id as event_id,
    null::text as hexadecimal_key,
    click_time as event_time
from clicks
where
    click_time < {{ retained_since() }} - interval '{{ var("attribution_window") }}'

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
    rejected_events.topic,
    null::text as event_id,
    encode(messages.event_key, 'hex') as hexadecimal_key,
    rejected_events.kafka_time as event_time
from rejected_events
inner join click_messages as messages
    on
        rejected_events.kafka_partition = messages.kafka_partition
        and rejected_events.kafka_offset = messages.kafka_offset
where
    rejected_events.topic = 'clicks'
    and messages.event_key is not null

union all

select
    rejected_events.topic,
    null::text as event_id,
    encode(messages.event_key, 'hex') as hexadecimal_key,
    rejected_events.kafka_time as event_time
from rejected_events
inner join purchase_messages as messages
    on
        rejected_events.kafka_partition = messages.kafka_partition
        and rejected_events.kafka_offset = messages.kafka_offset
where
    rejected_events.topic = 'purchases'
    and messages.event_key is not null
