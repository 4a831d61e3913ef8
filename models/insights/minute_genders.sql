with minutes as (
    {{ minute_genders(ref('checkouts')) }}
)

select * from minutes
