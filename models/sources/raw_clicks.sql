{{ kafka_source('clicks') }}
