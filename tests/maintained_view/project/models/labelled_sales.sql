{{
    config(
        delta='per_row',
        unique_key='sale_id',
        lookup_keys={'shops': 'shop_id'},
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
    coalesce(shops.region, 'nowhere') || ' ' || sales.product as label
from sales
left join shops on sales.shop_id = shops.shop_id
