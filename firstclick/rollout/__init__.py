"""Deployment of a new version of the models on a streaming engine, beside those that
are read, as one command that may be run again."""

from firstclick.rollout.rollout import deploy

__all__ = ["deploy"]
