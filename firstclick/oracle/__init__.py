"""What the pipeline computes, in pure Python: the specification to compare with.

It shares no code with the models, the connector or the generator, and only uses the
standard library.
"""

from firstclick.oracle.document import is_left_to_engines, json_object
from firstclick.oracle.relations import (
    COLUMNS,
    Checkout,
    FirstClick,
    RejectedEvent,
    checkout_messages,
    first_click,
    in_json,
    latest,
    momentary,
    relations,
)
from firstclick.oracle.verdict import Click, Message, Purchase, Reference, verdict

__all__ = [
    "COLUMNS",
    "Checkout",
    "Click",
    "FirstClick",
    "Message",
    "Purchase",
    "Reference",
    "RejectedEvent",
    "checkout_messages",
    "first_click",
    "in_json",
    "is_left_to_engines",
    "json_object",
    "latest",
    "momentary",
    "relations",
    "verdict",
]
