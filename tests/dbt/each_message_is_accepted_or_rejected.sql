{#- Not on RisingWave: there, raw_clicks and raw_purchases also hold earlier messages of
    a key. -#}
{{ config(enabled=target.name != 'risingwave') }}

with messages as (
    select
        'clicks' as topic,
        count(*) as events
    from {{ ref('raw_clicks') }}
    union all
    select
        'purchases' as topic,
        count(*) as events
    from {{ ref('raw_purchases') }}
),

accepted as (
    select
        'clicks' as topic,
        count(*) as events
    from {{ ref('stg_clicks') }}
    union all
    select
        'purchases' as topic,
        count(*) as events
    from {{ ref('stg_purchases') }}
),

rejected as (
    select
        topic,
        count(*) as events
    from {{ ref('rejected_events') }}
    group by topic
),

health as (
    select * from {{ ref('pipeline_health') }}
)

select
    messages.topic,
    messages.events,
    accepted.events as accepted,
    coalesce(rejected.events, 0) as rejected,
    health.accepted as counted_as_accepted,
    health.rejected as counted_as_rejected
from messages
inner join accepted on messages.topic = accepted.topic
inner join health on messages.topic = health.topic
left join rejected on messages.topic = rejected.topic
where
    messages.events <> accepted.events + coalesce(rejected.events, 0)
    or health.accepted <> accepted.events
    or health.rejected <> coalesce(rejected.events, 0)
