with minutes as (
    {{ minutes_of_last_hour('categories') }}
)

select
    category,
    sum(checkouts)::bigint as checkouts,
    sum(units)::bigint as units,
    sum(revenue) as revenue
from minutes
group by category
