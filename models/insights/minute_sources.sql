with minutes as (
    {{ minute_sources(ref('checkouts')) }}
)

select * from minutes
