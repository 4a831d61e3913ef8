"""Benchmarks that measure the pipeline as you run it: ``scripts/bench``.

Each section starts its own stack in a temporary home, with the project's own code, and
stops it again: real Kafka, real PostgreSQL, the generator, the connector and the
publisher, all on this machine and on its loopback interface.
"""
