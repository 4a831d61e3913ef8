"""Check that a live pipeline holds what its messages say, without stopping it."""

from firstclick.verify.findings import Example, Finding, Verification
from firstclick.verify.recompute import recompute, snapshot
from firstclick.verify.show import show
from firstclick.verify.verify import verify

__all__ = [
    "Example",
    "Finding",
    "Verification",
    "recompute",
    "show",
    "snapshot",
    "verify",
]
