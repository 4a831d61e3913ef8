with rejected_events as (
    select * from {{ ref('rejected_events') }}
)

select
    topic,
    reason,
    kafka_partition,
    kafka_offset,
    kafka_time
from rejected_events
