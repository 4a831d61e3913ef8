{{ config(delta='aggregate', unique_key='kind', count='movements') }}

select
    kind,
    count(*) as movements,
    coalesce(sum(amount), 0) as amount
from {{ ref('movements') }}
group by kind
