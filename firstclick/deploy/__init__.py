"""Deploy a new version of the models on a streaming engine.

The new version is built beside the one that people read, so they notice nothing. If a
deployment was interrupted, you run the same command again.
"""

from firstclick.deploy.streaming import deploy

__all__ = ["deploy"]
