{{
    config(
        delta='by_key',
        unique_key='sale_id',
        lookup_keys={'sale_details': 'sale_id'},
        affects_when={'returns': '(changed.refund >= stored.refund) is not false'},
    )
}}

with details as (
    select * from {{ ref('sale_details') }}
),

returns as (
    select * from {{ source('shop', 'returns') }}
)

select
    details.sale_id,
    firsts.return_id,
    firsts.refund
from details
cross join lateral (
    select
        returns.return_id,
        returns.refund
    from returns
    where returns.sale_id = details.sale_id
    order by returns.refund desc, returns.return_id
    limit 1
) as firsts
