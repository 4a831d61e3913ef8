"""Whether a pipeline, on whichever engine, holds what the specification says."""

from conformance.comparison import Difference, compare, report
from conformance.pipeline import Harness, Send, Snapshot

__all__ = ["Difference", "Harness", "Send", "Snapshot", "compare", "report"]
