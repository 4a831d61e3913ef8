with minutes as (
    {{ minutes_of_last_hour('sources') }}
)

select
    source,
    is_advertisement,
    sum(checkouts)::bigint as checkouts,
    sum(revenue) as revenue,
    sum(profit) as profit
from minutes
group by source, is_advertisement
