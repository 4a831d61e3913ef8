{{
    config(
        delta='accumulate',
        keys=['minute', 'source', 'is_advertisement'],
        count='checkouts',
    )
}}

with minutes as (
    {{ minute_sources(ref('checkouts')) }}
)

select * from minutes
