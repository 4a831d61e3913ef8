{{ config(delta='map', keys='shelf_id') }}

select
    shelf_id,
    ware
from {{ source('shop', 'shelves') }}
where ware is not null
