"""The demonstration: everything started, fed, and its answers shown live."""

from firstclick.demo.run import run

__all__ = ["run"]
