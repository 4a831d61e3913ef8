"""The connector: copies the topics clicks and purchases to PostgreSQL, exactly once.

The connector writes a batch's rows and its Kafka offsets in one transaction, and no
offsets are stored anywhere else. After any crash, it therefore resumes exactly where
the last committed transaction ends. Run it as
``python -m firstclick.workers.connector``.
"""

from firstclick.workers.connector.ingest import ingest

__all__ = ["ingest"]
