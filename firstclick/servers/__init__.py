"""Kafka and PostgreSQL as the project starts them, and what they must let in."""
