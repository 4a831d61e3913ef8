-- Each accepted purchase has exactly one checkout, at the price that follows from the
-- current reference data.
with purchases as (
    select * from {{ ref('stg_purchases') }}
),

users as (
    select * from {{ ref('users') }}
),

products as (
    select * from {{ ref('products') }}
),

checkouts as (
    select * from {{ ref('checkouts') }}
),

priced as (
    select
        purchases.purchase_id,
        purchases.purchase_time,
        users.gender,
        products.product_name,
        products.category,
        products.brand,
        products.commission_rate,
        purchases.shipping_cost,
        products.price * purchases.quantity * (1 - purchases.discount)
        + purchases.shipping_cost as total_cost
    from purchases
    left join users on purchases.user_id = users.user_id
    left join products on purchases.product_id = products.product_id
)

select
    priced.purchase_id,
    checkouts.purchase_id as checkout_purchase_id,
    priced.total_cost,
    checkouts.total_cost as checkout_total_cost,
    checkouts.profit as checkout_profit
from priced
full join checkouts on priced.purchase_id = checkouts.purchase_id
-- In brackets, because Materialize reads `a is distinct from b or c` as
-- `a is distinct from (b or c)`
where
    priced.purchase_id is null
    or checkouts.purchase_id is null
    or priced.purchase_time <> checkouts.purchase_time
    or (priced.gender is distinct from checkouts.gender)
    or (priced.product_name is distinct from checkouts.product_name)
    or (priced.category is distinct from checkouts.category)
    or (priced.brand is distinct from checkouts.brand)
    or (priced.total_cost is distinct from checkouts.total_cost)
    or (
        (priced.total_cost - priced.shipping_cost) * priced.commission_rate
        is distinct from checkouts.profit
    )
