{{ config(delta='aggregate', unique_key=['minute'], count='checkouts') }}

with minutes as (
    {{ minute_revenue(ref('checkouts')) }}
)

select * from minutes
