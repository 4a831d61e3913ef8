with minutes as (
    {{ minute_payment_failures(ref('checkouts')) }}
)

select * from minutes
