{{
    config(
        delta='by_key',
        unique_key='sale_id',
        lookup_keys={'named_sales': 'sale_id', 'shops': 'shop_id'},
        indexes=[{'columns': ['shop_id']}],
    )
}}

with sales as (
    select * from {{ ref('named_sales') }}
),

shops as (
    select * from {{ source('shop', 'shops') }}
)

select
    sales.sale_id,
    sales.shop_id,
    shops.region,
    sales.product,
    sales.amount,
    sales.sold_at
from sales
left join shops on sales.shop_id = shops.shop_id
