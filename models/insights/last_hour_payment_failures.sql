with minutes as (
    {{ minutes_of_last_hour('payment_failures') }}
)

select
    failure_reason,
    sum(checkouts)::bigint as checkouts
from minutes
group by failure_reason
