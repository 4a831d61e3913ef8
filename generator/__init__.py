"""A shop's clicks and purchases, made as data and produced to Kafka."""
