{{ config(delta='by_key', unique_key=['shop_id', 'product']) }}

with sales as (
    select * from {{ source('shop', 'sales') }}
)

select
    shop_id,
    product,
    max(amount) as amount,
    count(*) as sales
from sales
group by shop_id, product
