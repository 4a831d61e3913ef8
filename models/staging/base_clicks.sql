{% set fields = event_fields('clicks') %}

with messages as (
    {{ latest_messages(ref('raw_clicks')) }}
    {{ optimization_fence() }}
),

valued as (
    select
        *,
        {{ field_values(fields) | indent(4) }}
    from messages
    {{ optimization_fence() }}
),

checked as (
    select
        *,
        {{ rejection_reason(fields, time='click_time') | indent(8) }} as reason
    from valued
    {{ optimization_fence() }}
)

select
    case when reason is not null then {{ bytes_as_text('event_key') }} end as event_key,
    case when reason is not null then {{ bytes_as_text('payload') }} end as payload,
    case when reason is not null then event_key end as message_key,
    reason,
    case when reason is null then click_id end as click_id,
    case when reason is null then user_id end as user_id,
    case when reason is null then click_at end as click_at,
    case when reason is null then source end as source,
    case when reason is null then ip end as ip,
    kafka_partition,
    kafka_offset,
    kafka_time,
    case when reason is null then click_time end as click_time
from checked
