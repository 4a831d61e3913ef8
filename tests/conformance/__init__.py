"""Whether a pipeline, on whichever engine, holds what the specification says."""

from conformance.comparison import Difference, compare, report
from conformance.pipeline import Pipeline, Send, Snapshot

__all__ = ["Difference", "Pipeline", "Send", "Snapshot", "compare", "report"]
