"""The specification in pure Python, to compare the engines with.

The oracle shares no code with the models, the connector or the generator, so that it
can't repeat their mistakes. It only uses the standard library.
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
