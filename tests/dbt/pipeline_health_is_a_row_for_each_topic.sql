select count(*) as how_many
from {{ ref('pipeline_health') }}
having count(*) <> 2
