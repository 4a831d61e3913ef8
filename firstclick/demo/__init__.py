"""The demo: start everything, feed it, and show its answers live."""

from firstclick.demo.run import run

__all__ = ["run"]
