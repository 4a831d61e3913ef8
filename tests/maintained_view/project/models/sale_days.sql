{{ config(delta='aggregate', unique_key='day', count='sales') }}

with sales as (
    select * from {{ source('shop', 'sales') }}
)

select
    sold_at::date as day,
    count(*) as sales,
    coalesce(sum(amount), 0) as revenue
from sales
group by sold_at::date
