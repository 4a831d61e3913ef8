"""The bundled Kafka and PostgreSQL, and the topics, roles and certificates in them."""
