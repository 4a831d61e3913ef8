with progress as (
    {{ kafka_progress() }}
),

event_counts as (
    select
        topic,
        sum(messages) filter (where reason is null)::bigint as accepted,
        sum(messages) filter (where reason is not null)::bigint as rejected
    from {{ ref('minute_messages') }}
    group by topic
),

newest as (
    select * from {{ ref('newest_events') }}
)

select
    newest.topic,
    coalesce(event_counts.accepted, 0) as accepted,
    coalesce(event_counts.rejected, 0) as rejected,
    newest.newest_event_time,
    progress.newest_kafka_time,
    progress.lag_messages,
    progress.freshness_seconds,
    progress.lost_messages
from newest
left join event_counts on newest.topic = event_counts.topic
left join progress on newest.topic = progress.topic
