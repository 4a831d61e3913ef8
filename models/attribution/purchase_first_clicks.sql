{{
    config(
        delta='recompute',
        keys=['purchase_id'],
        touched_by={'stg_purchases': 'purchase_id'},
    )
}}

with purchases as (
    select * from {{ ref('stg_purchases') }}
),

clicks as (
    select * from {{ ref('stg_clicks') }}
),

candidates as (
    select
        purchases.purchase_id,
        clicks.click_id,
        clicks.click_at,
        clicks.source,
        clicks.click_time,
        row_number() over (
            partition by purchases.purchase_id
            order by clicks.click_time, clicks.click_id
        ) as position
    from purchases
    inner join clicks
        on
            purchases.user_id = clicks.user_id
            and clicks.click_time <= purchases.purchase_time
            and clicks.click_time
            >= purchases.purchase_time - interval '{{ var("attribution_window") }}'
)

select
    purchase_id,
    click_id,
    click_at,
    source,
    click_time
from candidates
where position = 1
