{#- No import CTE: PostgreSQL can't join into a view that has a WITH. -#}
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
from {{ ref('int_purchases_validated') }}
where reason is null
