{#- Columns whose text depends on the session's settings. -#}
{{ config(delta='per_row', unique_key='sale_id') }}

select
    sale_id,
    sold_at::text as sold,
    to_char(sold_at, 'TMMonth HH24') as hour_sold,
    (sold_at - '2025-12-24 00:00+00'::timestamptz)::text as age,
    sold_at + interval '1 day' as next_day,
    (amount::double precision / 3)::text as third,
    sha256(product::bytea)::text as digest,
    '\' || product as product,
    '{null, 1}'::text[] as labels,
    array_length(array_positions('{null, 1}'::text[], null), 1) as nulls
from {{ source('shop', 'sales') }}
