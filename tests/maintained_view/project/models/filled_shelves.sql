{{ config(delta='per_row', unique_key=['aisle', 'place']) }}

select
    aisle,
    place,
    ware
from {{ source('shop', 'shelves') }}
where ware is not null
