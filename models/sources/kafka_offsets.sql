topic text,
kafka_partition integer,
next_offset bigint not null,
high_watermark bigint not null,
newest_kafka_time timestamptz,
checked_at timestamptz not null,
primary key (topic, kafka_partition)
