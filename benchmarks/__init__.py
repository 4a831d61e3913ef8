"""Measures the pipeline as its users run it: ``scripts/bench``.

Each section starts a stack of its own in a temporary home, by the project's own code,
and stops it again: real Kafka, real PostgreSQL, the generator, the connector and the
publisher, all on this machine and on its loopback interface.
"""
