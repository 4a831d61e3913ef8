{{ config(materialized='view') }}

select
    sale_id,
    shop_id,
    product,
    amount,
    sold_at
from {{ source('shop', 'sales') }}
where product is not null
