with clicks as (
    select * from {{ ref('typed_clicks') }}
)

select
    click_id,
    user_id,
    click_at,
    source,
    ip,
    click_time
from clicks
where reason is null
