select
    'clicks' as topic,
    max(click_time) as newest_event_time
from {{ ref('stg_clicks') }}
union all
select
    'purchases' as topic,
    max(purchase_time) as newest_event_time
from {{ ref('stg_purchases') }}
