"""Repair a source on Materialize that a message without a key has stopped.

Materialize upserts by key: it keeps the latest message of each key. A message without a
key puts the source into an error, and with it every relation that is derived from it.
The source recovers when a message arrives that has neither key nor value. No message is
lost: Kafka keeps them all, and the source continues from where it was. A compacted
topic refuses messages without a key in the first place.
"""

import time
from collections.abc import Callable
from typing import LiteralString

import psycopg
from psycopg import sql

from firstclick.core.database import connect
from firstclick.core.errors import ServerError, SettingsError
from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings
from firstclick.core.waiting import one_line, stoppable
from firstclick.workers.topic import NotDelivered, Topic

TOPICS = ("clicks", "purchases")

HEALED_SECONDS = 60.0
"""How long the source may take to recover, until it counts as still stopped."""

_POLL_SECONDS = 0.2
_READ: LiteralString = "select event_key from {source} limit 1"
"""Fails if the source is in an error. The ``limit`` keeps it cheap otherwise."""
_WORDS = "null key"
"""How Materialize's error message names this cause."""


def require_materialize(settings: Settings) -> None:
    """Raise SettingsError unless the settings name Materialize and where it runs."""
    if settings.target != "materialize":
        raise SettingsError(
            f"FIRSTCLICK_TARGET is {settings.target!r}, expected 'materialize': on the "
            "other engines a message without a key is a rejected event and stops "
            "nothing"
        )
    if settings.database_url is None or settings.kafka_bootstrap_servers is None:
        raise SettingsError(
            "DATABASE_URL or KAFKA_BOOTSTRAP_SERVERS is not set, expected both with "
            "FIRSTCLICK_TARGET=materialize: set them to where Materialize and its "
            "Kafka run"
        )


def stopped_topics(pipeline: Pipeline) -> list[str]:
    """Return the topics whose source a message without a key has stopped.

    Raises ServerError, also if a source is in another kind of error.
    """
    return [topic for topic in TOPICS if _is_stopped(pipeline, topic)]


def repair(pipeline: Pipeline, say: Callable[[str], None]) -> list[str]:
    """Repair the stopped sources and return their topics.

    Sends each a message without key and value. ``say`` gets a line for each step.
    Raises ServerError.
    """
    stopped = stopped_topics(pipeline)
    for topic in stopped:
        say(f"{pipeline.topic_prefix}{topic}: stopped by a message without a key")
        try:
            with stoppable() as stop:
                Topic(pipeline, topic, stop).send([(None, None)])
        except NotDelivered as error:
            raise ServerError(f"the source can't be healed: {error}") from error
        _await(pipeline, topic)
        say(f"{pipeline.topic_prefix}{topic}: healed; compacted, it would refuse them")
    return stopped


def _await(pipeline: Pipeline, topic: str) -> None:
    deadline = time.monotonic() + HEALED_SECONDS
    while _is_stopped(pipeline, topic):
        if time.monotonic() > deadline:
            raise ServerError(
                # Cause: More messages without a key have come.
                # Remedy: Find out who sends them. A compacted topic refuses them.
                f"the source of {topic} is still stopped {HEALED_SECONDS:.0f} s after "
                "the message that heals it: more messages without a key may have come; "
                "find who sends them, and repair again"
            )
        time.sleep(_POLL_SECONDS)


def _is_stopped(pipeline: Pipeline, topic: str) -> bool:
    source = sql.Identifier(f"{pipeline.schema_name}_sources", f"raw_{topic}")
    try:
        with connect(
            pipeline.database_url, target=pipeline.target, autocommit=True
        ) as connection:
            connection.execute("set transaction_isolation = 'serializable'")
            connection.execute(sql.SQL(_READ).format(source=source))
    except psycopg.Error as error:
        if _WORDS in str(error).lower():
            return True
        raise ServerError(
            f"the source of {topic} can't be read: {one_line(error)}"
        ) from error
    return False
