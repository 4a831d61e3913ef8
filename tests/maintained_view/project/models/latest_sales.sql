{{ config(delta='by_key', unique_key='shop_id') }}

with sales as (
    select * from {{ source('shop', 'sales') }}
)

select distinct on (shop_id)
    shop_id,
    sale_id,
    sold_at
from sales
order by shop_id, sold_at desc, sale_id
