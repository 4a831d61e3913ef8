{{
    config(
        delta='aggregate',
        unique_key=['minute', 'failure_reason'],
        count='checkouts',
    )
}}

with minutes as (
    {{ minute_payment_failures(ref('checkouts')) }}
)

select * from minutes
