{#- No import CTE of stg_clicks: PostgreSQL wouldn't use the index on clicks through
    one. -#}
with checkouts as (
    select * from {{ ref('checkouts') }}
)

select
    checkouts.purchase_id,
    checkouts.click_id,
    checkouts.click_time,
    first_clicks.click_id as first_click_id,
    first_clicks.click_time as first_click_time
from checkouts
left join lateral (
    select
        clicks.click_id,
        clicks.click_at,
        clicks.source,
        clicks.click_time
    from {{ ref('stg_clicks') }} as clicks
    where
        {{ same_text('clicks.user_id', 'checkouts.user_id') }}
        and clicks.click_time <= checkouts.purchase_time
        and clicks.click_time
        >= checkouts.purchase_time - {{ interval_of('attribution_window') }}
    order by clicks.click_time, clicks.click_id
    limit 1
) as first_clicks on true
-- In brackets, because Materialize reads `a is distinct from b or c` as
-- `a is distinct from (b or c)`
where
    (checkouts.click_id is distinct from first_clicks.click_id)
    or (checkouts.click_at is distinct from first_clicks.click_at)
    or (checkouts.source is distinct from first_clicks.source)
    or (checkouts.click_time is distinct from first_clicks.click_time)
