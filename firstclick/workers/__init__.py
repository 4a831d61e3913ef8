"""The processes that move events: the connector, the publisher, and retention."""
