{{ config(delta='aggregate', unique_key='region', count='sales') }}

with details as (
    select * from {{ ref('sale_details') }}
)

select
    region,
    count(*) as sales,
    coalesce(sum(amount), 0) as revenue,
    count(amount) filter (where amount < 0) as negative
from details
group by region
