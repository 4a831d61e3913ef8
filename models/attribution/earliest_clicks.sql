with clicks as (
    select * from {{ ref('stg_clicks') }}
),

clicks_in_window as (
    select * from clicks
    where
        {{ temporal_filter(
            'click_time',
            seconds_of('attribution_window') ~ ' seconds',
            inclusive=true
        ) }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by user_id
            order by click_time, {{ binary_collation('click_id') }}
        ) as place
    from clicks_in_window
)

select
    user_id,
    click_id,
    source,
    click_time
from ranked
where place = 1
