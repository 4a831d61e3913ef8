with purchases as (
    select * from {{ ref('checked_purchases') }}
)

select
    purchase_id,
    user_id,
    product_id,
    payment_method,
    payment_status,
    failure_reason,
    quantity,
    discount,
    shipping_cost,
    claimed_total_cost,
    purchase_time
from purchases
where reason is null
