{{
    config(
        delta='aggregate',
        unique_key=['minute', 'source', 'is_advertisement'],
        count='checkouts',
    )
}}

with minutes as (
    {{ minute_sources(ref('checkouts')) }}
)

select * from minutes
