with clicks as (
    select * from {{ ref('base_clicks') }}
),

purchases as (
    select * from {{ ref('int_purchases_validated') }}
)

select
    {{ minute_of('kafka_time') }} as minute,
    'clicks' as topic,
    reason,
    count(*) as messages
from clicks
group by {{ minute_of('kafka_time') }}, reason

union all

select
    {{ minute_of('kafka_time') }} as minute,
    'purchases' as topic,
    reason,
    count(*) as messages
from purchases
group by {{ minute_of('kafka_time') }}, reason
