{{ config(materialized='view') }}

select
    count(*) as sales,
    sum(amount) as amount
from {{ ref('dear_sales') }}
