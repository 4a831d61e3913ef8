"""A batch keeps the latest message of each key."""

import pytest
from confluent_kafka import KafkaError, Message

from firstclick.workers.connector.batch import (
    LONGEST_INDEXED_KEY,
    PartitionError,
    Progress,
    compact_batch,
    indexed_key,
)

TOPICS = {"test.clicks": "clicks"}


def message(
    offset: int, key: bytes | None, payload: bytes | None, time: int = 0
) -> Message:
    made = Message("test.clicks", 0, offset, key, payload, timestamp=(2, time))
    assert made.timestamp() == (2, time)
    return made


def test_messages_from_before_the_position_are_skipped() -> None:
    at = Progress(stored=5, reached=5, high_watermark=7)
    messages = [message(offset, b"%d" % offset, b"") for offset in range(3, 7)]
    batch = compact_batch(messages, TOPICS, {"clicks": {0: at}})["clicks"]
    assert list(batch.latest) == [b"5", b"6"]
    assert at.reached == 7


def test_the_end_of_a_partition_is_progress() -> None:
    at = Progress(stored=5, reached=5, high_watermark=9)
    end = KafkaError(KafkaError._PARTITION_EOF)
    messages = [
        message(5, None, None),
        Message("test.clicks", 0, 9, error=end),
    ]
    batch = compact_batch(messages, TOPICS, {"clicks": {0: at}})["clicks"]
    assert not batch.latest
    assert not batch.keyless
    assert at.reached == 9


def test_another_error_is_raised_with_its_partition() -> None:
    at = Progress(stored=5, reached=5, high_watermark=9)
    error = KafkaError(KafkaError._AUTO_OFFSET_RESET, "out of range")
    messages = [Message("test.clicks", 0, 5, error=error)]
    with pytest.raises(PartitionError, match=r"test.clicks 0: out of range"):
        compact_batch(messages, TOPICS, {"clicks": {0: at}})


def test_times_that_postgresql_cannot_hold_are_the_latest_it_is_given() -> None:
    at = Progress(stored=0, reached=0, high_watermark=2)
    messages = [message(0, b"a", b"", 946_684_800_001), message(1, b"b", b"", 2**62)]
    batch = compact_batch(messages, TOPICS, {"clicks": {0: at}})["clicks"]
    assert batch.latest[b"a"] == (b"a", b"", 0, 0, 1_000)
    year_10000 = 252_455_616_000_000_000
    assert batch.latest[b"b"][4] == year_10000 - 1_000


def test_keys_too_long_to_be_indexed_are_indexed_by_what_no_other_key_is() -> None:
    longest = LONGEST_INDEXED_KEY
    assert indexed_key(b"k" * longest) == b"k" * longest
    keys = {indexed_key(b"k" * length) for length in range(longest + 1, 2_800)}
    assert len(keys) == 2_800 - longest - 1
    assert {len(key) for key in keys} == {longest + 1}
