{{ config(delta='per_row', unique_key='sale_id') }}

with sales as (
    select * from {{ source('shop', 'sales') }}
)

select
    sale_id,
    shop_id,
    upper(product) as product
from sales
where amount >= 50
