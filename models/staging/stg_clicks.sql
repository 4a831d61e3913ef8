{#- No import CTE: PostgreSQL can't join into a view that has a WITH. -#}
select
    click_id,
    user_id,
    click_at,
    source,
    ip,
    click_time
from {{ ref('base_clicks') }}
where reason is null
