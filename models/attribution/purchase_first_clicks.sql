{#- No import CTE: PostgreSQL can't join into a view that has a WITH. -#}
select
    purchases.purchase_id,
    first_clicks.click_id,
    first_clicks.click_at,
    first_clicks.source,
    first_clicks.click_time
from {{ ref('stg_purchases') }} as purchases
cross join lateral (
    select
        clicks.click_id,
        clicks.click_at,
        clicks.source,
        clicks.click_time
    from {{ ref('stg_clicks') }} as clicks
    where
        {{ same_text('clicks.user_id', 'purchases.user_id') }}
        and clicks.click_time <= purchases.purchase_time
        and clicks.click_time
        >= purchases.purchase_time - interval '{{ var("attribution_window") }}'
        {#- The same once more, for an index on purchases: a click then looks
            at the purchases of its window only, not at all later ones. #}
        and purchases.purchase_time
        <= clicks.click_time + interval '{{ var("attribution_window") }}'
    order by clicks.click_time, {{ by_code_point('clicks.click_id') }}
    limit 1
) as first_clicks
