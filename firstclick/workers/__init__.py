"""What moves events: the connector, the publisher, and retention."""
