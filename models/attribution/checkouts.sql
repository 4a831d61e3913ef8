with purchases as (
    select * from {{ ref('stg_purchases') }}
),

users as (
    select * from {{ ref('users') }}
),

products as (
    select * from {{ ref('products') }}
),

first_clicks as (
    select * from {{ ref('purchase_first_clicks') }}
),

priced as (
    select
        purchases.*,
        products.product_name,
        products.category,
        products.brand,
        products.commission_rate,
        users.gender,
        products.price * purchases.quantity * (1 - purchases.discount)
            as product_cost
    from purchases
    inner join users
        on {{ same_text('purchases.user_id', 'users.user_id') }}
    inner join products
        on {{ same_text('purchases.product_id', 'products.product_id') }}
)

select
    priced.purchase_id,
    priced.user_id,
    priced.product_id,
    first_clicks.click_id,
    priced.product_name,
    priced.category,
    priced.brand,
    priced.gender,
    priced.payment_method,
    priced.payment_status,
    priced.failure_reason,
    first_clicks.click_at,
    first_clicks.source,
    priced.quantity,
    priced.product_cost + priced.shipping_cost as total_cost,
    priced.product_cost * priced.commission_rate as profit,
    priced.purchase_time,
    first_clicks.click_time
from priced
left join first_clicks on priced.purchase_id = first_clicks.purchase_id
