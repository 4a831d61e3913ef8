"""What the pipeline computes, in pure Python: the specification to compare with.

It shares no code with the models, the connector or the generator, and only uses the
standard library.
"""

from firstclick.oracle.document import is_implementation_defined, json_object
from firstclick.oracle.relations import (
    COLUMNS,
    Checkout,
    FirstClick,
    RejectedEvent,
    checkout_messages,
    first_click,
    in_json,
    latest,
    relations,
    time_dependent,
)
from firstclick.oracle.validation import Click, Message, Purchase, Reference, validate

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
    "is_implementation_defined",
    "json_object",
    "latest",
    "relations",
    "time_dependent",
    "validate",
]
