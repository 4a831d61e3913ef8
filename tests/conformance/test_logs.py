"""The named logs are what they claim to be, before any engine sees them."""

from collections import defaultdict
from datetime import UTC, datetime
from random import Random

from conformance.cases import in_another_order
from conformance.hostile import hostile
from events import Send
from firstclick import oracle
from firstclick.core.engines import ENGINES
from firstclick.oracle.validation import FIELDS, ID_AND_TIME

NOW = datetime.now(UTC)
EMBEDDED = ENGINES["embedded"]


def as_messages(sends: list[Send]) -> list[oracle.Message]:
    return [
        oracle.Message(*send, kafka_time=NOW, partition=0, offset=offset)
        for offset, send in enumerate(sends)
    ]


def test_the_hostile_log_has_every_reason_of_rejection() -> None:
    reasons = {
        topic: {"no key", "not a JSON object", f"key differs from {event_id}"}
        | {f"{event_time} is in the future"}
        | {f"{field} is missing" for field in FIELDS[topic]}
        | {f"{field} is not {kind.expected}" for field, kind in FIELDS[topic].items()}
        for topic, (event_id, event_time) in ID_AND_TIME.items()
    }
    reasons["purchases"] |= {"unknown user", "unknown product"}
    reference = oracle.Reference({"hostile 0": {}}, {})
    unknown = oracle.Reference({}, {})
    found = defaultdict(set)
    for step in hostile(EMBEDDED):
        for message in as_messages(step.sends):
            if message.value is not None:
                found[message.topic].add(oracle.validate(message, reference))
                found[message.topic].add(oracle.validate(message, unknown))
    for topic, expected in reasons.items():
        assert expected <= found[topic]


def test_no_engine_is_sent_what_stops_it() -> None:
    for engine in ENGINES.values():
        for step in hostile(engine):
            keys = {message.key for message in step.sends}
            assert engine.takes_keyless or None not in keys


def test_another_order_has_the_same_messages_and_those_of_a_key_in_their_order() -> (
    None
):
    log = [send for step in hostile(EMBEDDED) for send in step.sends]
    shuffled = in_another_order(log, Random(1))
    assert shuffled != log
    assert in_another_order(log, Random(1)) == shuffled
    assert in_another_order(log, Random(2)) != shuffled
    for messages in (log, shuffled):
        assert len(messages) == len(log)
    by_key: list[dict[tuple[str, bytes | None], list[bytes | None]]] = [
        defaultdict(list),
        defaultdict(list),
    ]
    for messages, of_key in zip((log, shuffled), by_key, strict=True):
        for message in messages:
            of_key[message.topic, message.key].append(message.value)
    assert by_key[0] == by_key[1]
