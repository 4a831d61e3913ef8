with minutes as (
    {{ minutes_of_last_hour('revenue') }}
)

select
    coalesce(sum(checkouts), 0)::bigint as checkouts,
    coalesce(sum(units), 0)::bigint as units,
    coalesce(sum(revenue), 0) as revenue,
    coalesce(sum(profit), 0) as profit,
    coalesce(sum(attributed_checkouts), 0)::bigint as attributed_checkouts,
    coalesce(sum(attributed_revenue), 0) as attributed_revenue,
    coalesce(sum(attributed_profit), 0) as attributed_profit
from minutes
