{{ config(delta='map', keys=['aisle', 'place']) }}

select
    aisle,
    place,
    ware
from {{ source('shop', 'shelves') }}
where ware is not null
