{{ config(delta='by_key', unique_key='return_id') }}

with details as (
    select * from {{ ref('sale_details') }}
),

returns as (
    select * from {{ source('shop', 'returns') }}
)

select
    returns.return_id,
    details.sale_id,
    details.region,
    details.amount - returns.refund as kept
from returns
inner join details on returns.sale_id = details.sale_id
