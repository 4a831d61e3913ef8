{{ config(delta='recompute', keys='shelf_id') }}

select
    shelf_id,
    upper(ware) as ware
from {{ ref('filled_shelves') }}
