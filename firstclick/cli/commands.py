"""All commands: each module adds a group, in the order in which the help shows them."""

from firstclick.cli import run, look, operate, develop  # isort: skip
from firstclick.cli.app import app

__all__ = ["app", "develop", "look", "operate", "run"]
