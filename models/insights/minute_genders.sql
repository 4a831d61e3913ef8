{{ config(delta='aggregate', unique_key=['minute', 'gender'], count='checkouts') }}

with minutes as (
    {{ minute_genders(ref('checkouts')) }}
)

select * from minutes
