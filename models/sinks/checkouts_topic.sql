with checkouts as (
    select * from {{ ref('checkouts') }}
)

select
    purchase_id,
    user_id,
    product_id,
    click_id,
    product_name,
    category,
    brand,
    gender,
    payment_method,
    payment_status,
    failure_reason,
    click_at,
    source,
    quantity,
    total_cost::text as total_cost,
    profit::text as profit,
    {{ event_time_text('purchase_time') }} as purchase_time,
    {{ event_time_text('click_time') }} as click_time
from checkouts
