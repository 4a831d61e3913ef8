"""Deployment of a new version of the models on a streaming engine, beside those that
are read, as one command that may be run again."""

from firstclick.deploy.streaming import deploy

__all__ = ["deploy"]
