with minutes as (
    {{ minute_revenue(ref('checkouts')) }}
)

select * from minutes
