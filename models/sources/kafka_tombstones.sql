topic text,
event_key bytea,
kafka_partition integer not null,
kafka_offset bigint not null,
kafka_time timestamptz not null,
primary key (topic, event_key)
