{{ config(materialized='view') }}

select
    sale_id,
    amount
from {{ ref('sale_details') }}
where amount > 100
