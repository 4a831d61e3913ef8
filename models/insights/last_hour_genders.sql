with minutes as (
    {{ minutes_of_last_hour('genders') }}
)

select
    gender,
    sum(checkouts)::bigint as checkouts
from minutes
group by gender
