select count(*) as how_many
from {{ ref('last_hour_revenue') }}
having count(*) <> 1
