{{ config(materialized='view') }}

select
    sales.sale_id,
    firsts.return_id,
    firsts.refund
from {{ ref('named_sales') }} as sales
cross join lateral (
    select
        returns.return_id,
        returns.refund
    from {{ source('shop', 'returns') }} as returns
    where returns.sale_id = sales.sale_id
    order by returns.return_id
    limit 1
) as firsts
