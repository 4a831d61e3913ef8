{{
    config(
        delta='by_key',
        unique_key='sale_id',
        lookup_keys={'named_sales': 'sale_id', 'first_refunds': 'sale_id'},
    )
}}

with sales as (
    select * from {{ ref('named_sales') }}
),

refunds as (
    select * from {{ ref('first_refunds') }}
)

select
    sales.sale_id,
    refunds.return_id,
    sales.amount - coalesce(refunds.refund, 0) as kept
from sales
left join refunds on sales.sale_id = refunds.sale_id
