{{ config(delta='recompute', keys=['aisle', 'place']) }}

select
    aisle,
    place,
    upper(ware) as ware
from {{ ref('filled_shelves') }}
