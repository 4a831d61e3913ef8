{{ config(delta='aggregate', unique_key=['day', 'product'], count='sales') }}

with details as (
    select * from {{ ref('sale_details') }}
)

select
    date_trunc('day', sold_at) as day,
    product,
    count(*) as sales,
    coalesce(sum(amount), 0) as revenue
from details
where region is distinct from 'none'
group by date_trunc('day', sold_at), product
