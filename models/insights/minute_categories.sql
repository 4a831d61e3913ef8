with minutes as (
    {{ minute_categories(ref('checkouts')) }}
)

select * from minutes
