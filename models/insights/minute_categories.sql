{{ config(delta='aggregate', unique_key=['minute', 'category'], count='checkouts') }}

with minutes as (
    {{ minute_categories(ref('checkouts')) }}
)

select * from minutes
