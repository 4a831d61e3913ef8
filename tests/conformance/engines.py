"""What a client has to know of each engine; all else is the same on every one."""

from dataclasses import dataclass
from typing import LiteralString


@dataclass(frozen=True, slots=True)
class Engine:
    """How an engine is read, and what it can't be asked to hold."""

    name: str
    begin: LiteralString
    """Begins a transaction whose queries all see one moment."""
    now: LiteralString
    """Asks for that moment: a time, or milliseconds since 1970."""
    sources_suffix: str = ""
    """What follows the pipeline's schema in the name of that of sources and reference
    data."""
    flush: LiteralString | None = None
    """Makes sure that later queries see what this session has written."""
    has_progress: bool = False
    """Whether SQL tells what has been read from Kafka (kafka_offsets), and what is
    yet to be published (checkouts_changes)."""
    has_microseconds: bool = False
    """Whether a moment may be between two milliseconds."""
    may_be_behind: bool = False
    """Whether a relation that depends on the moment may show an earlier one, while the
    engine has more to do than it can."""
    takes_keyless: bool = True
    """Whether a message without a key is a row; else it stops the source."""
    takes_liberties: bool = True
    """Whether what the specification leaves to an engine may be other than here."""


ENGINES = {
    engine.name: engine
    for engine in (
        Engine(
            "embedded",
            begin="begin isolation level repeatable read, read only",
            now="select now()",
            has_progress=True,
            has_microseconds=True,
            takes_liberties=False,
        ),
        Engine(
            "materialize",
            begin="begin",
            now="select mz_now()::text::bigint",
            sources_suffix="_sources",
            takes_keyless=False,
        ),
        Engine(
            "risingwave",
            begin="begin read only",
            now="select now()",
            sources_suffix="_sources",
            flush="flush",
            may_be_behind=True,
        ),
    )
}
