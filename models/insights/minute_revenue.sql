{{ config(delta='accumulate', keys=['minute'], count='checkouts') }}

with minutes as (
    {{ minute_revenue(ref('checkouts')) }}
)

select * from minutes
