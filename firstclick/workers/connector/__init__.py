"""Carries the topics clicks and purchases into PostgreSQL, each event exactly once.

A batch's rows and its Kafka offsets are one transaction, and the offsets in the
database are the only ones there are: whatever dies, reading goes on where the last
transaction that survived ends. Run it as ``python -m firstclick.workers.connector``.
"""

from firstclick.workers.connector.ingest import ingest

__all__ = ["ingest"]
