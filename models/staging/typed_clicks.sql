{{
    config(
        delta='map',
        keys=['kafka_partition', 'kafka_offset'],
        indexed_on=[
            '(' ~ indexed_text('user_id') ~ ', click_time)',
            '(click_time)',
        ],
    )
}}

with messages as (
    {{ latest_messages(ref('raw_clicks')) }}
    {{ computed_once() }}
),

checked as (
    select
        *,
        {{ rejection_reason(time='click_time', fields={
            'click_id': 'text',
            'user_id': 'text',
            'click_time': 'time',
            'click_at': 'text',
            'source': 'text',
            'ip': 'text',
        }) | indent(8) }} as reason
    from messages
    {{ computed_once() }}
)

select
    case when reason is not null then {{ text_of('event_key') }} end as event_key,
    case when reason is not null then {{ text_of('payload') }} end as payload,
    reason,
    case when reason is null then document ->> 'click_id' end as click_id,
    case when reason is null then document ->> 'user_id' end as user_id,
    case when reason is null then document ->> 'click_at' end as click_at,
    case when reason is null then document ->> 'source' end as source,
    case when reason is null then document ->> 'ip' end as ip,
    kafka_partition,
    kafka_offset,
    kafka_time,
    case when reason is null then {{ time_of('click_time') }} end as click_time
from checked
