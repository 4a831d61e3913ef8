with purchases as (
    select * from {{ ref('base_purchases') }}
),

users as (
    select * from {{ ref('users') }}
),

products as (
    select * from {{ ref('products') }}
),

checked as (
    select
        purchases.message_key,
        purchases.message_value,
        case
            when purchases.reason is not null then purchases.reason
            when users.user_id is null then 'unknown user'
            when products.product_id is null then 'unknown product'
        end as reason,
        purchases.purchase_id,
        purchases.user_id,
        purchases.product_id,
        purchases.payment_method,
        purchases.payment_status,
        purchases.failure_reason,
        purchases.quantity,
        purchases.discount,
        purchases.shipping_cost,
        purchases.claimed_total_cost,
        purchases.kafka_partition,
        purchases.kafka_offset,
        purchases.kafka_time,
        purchases.purchase_time
    from purchases
    left join users on purchases.user_id = users.user_id
    left join products on purchases.product_id = products.product_id
)

select
    case
        when reason is not null then {{ bytes_as_text('message_key') }}
    end as event_key,
    case
        when reason is not null then {{ bytes_as_text('message_value') }}
    end as payload,
    case when reason is not null then message_key end as message_key,
    reason,
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
    kafka_partition,
    kafka_offset,
    kafka_time,
    purchase_time
from checked
