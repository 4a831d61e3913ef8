{{ config(delta='per_row', unique_key=['kind', 'id']) }}

select
    'sale' as kind,
    sale_id as id,
    amount
from {{ source('shop', 'sales') }}
union all
select
    'return' as kind,
    return_id as id,
    - refund as amount
from {{ source('shop', 'returns') }}
