{{ config(delta='accumulate', keys=['minute', 'category'], count='checkouts') }}

with minutes as (
    {{ minute_categories(ref('checkouts')) }}
)

select * from minutes
