{{ kafka_source('purchases') }}
