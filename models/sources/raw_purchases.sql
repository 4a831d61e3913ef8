{{ config(unique_on=indexed_key('event_key')) }}

{{ kafka_source('purchases') }}
