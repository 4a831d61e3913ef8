{{ config(delta='by_key', unique_key=['aisle', 'place']) }}

select
    aisle,
    place,
    upper(ware) as ware
from {{ ref('filled_shelves') }}
