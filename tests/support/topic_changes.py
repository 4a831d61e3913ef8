"""What an operator does to topics, each returning when Kafka has done it.

Clients of librdkafka's remember a topic: one that knew it before it was deleted takes
the next of that name for it, so make another one.
"""

import contextlib
import time
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

PATIENCE = 40.0
"""Seconds that Kafka has for each change."""


def delete_topic(admin: AdminClient, name: str) -> None:
    for deleted in admin.delete_topics([name]).values():
        deleted.result(PATIENCE)
    _await(
        lambda: name not in admin.list_topics(timeout=PATIENCE).topics, f"{name} gone"
    )


def create_topic_again(
    admin: AdminClient, name: str, partitions: int | None = None
) -> None:
    """Delete a topic and create it with the settings that it had.

    With as many partitions as it had, if none are given.
    """
    (found,) = admin.describe_configs(
        [ConfigResource(ResourceType.TOPIC, name)]
    ).values()
    config = {
        entry.name: entry.value
        for entry in found.result(PATIENCE).values()
        if entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    }
    count = partitions or count_partitions(admin, name)
    delete_topic(admin, name)
    for created in admin.create_topics(
        [NewTopic(name, count, 1, config=config)]
    ).values():
        created.result(PATIENCE)
    _await(lambda: count_partitions(admin, name) == count, f"{name} created again")


def add_partitions(admin: AdminClient, name: str, partitions: int) -> None:
    """Have a topic so many partitions from now on."""
    for created in admin.create_partitions([NewPartitions(name, partitions)]).values():
        created.result(PATIENCE)
    _await(
        lambda: count_partitions(admin, name) == partitions,
        f"{partitions} partitions of {name}",
    )


def delete_records(admin: AdminClient, name: str, before: Mapping[int, int]) -> None:
    """Have Kafka delete each partition's messages with smaller offsets."""
    at = [TopicPartition(name, number, offset) for number, offset in before.items()]

    def are_deleted() -> bool:
        # It looks for leaders among the partitions that it knows of
        admin.list_topics(name, PATIENCE)
        with contextlib.suppress(KafkaException):
            for deleted in admin.delete_records(at).values():
                deleted.result(PATIENCE)
            return True
        return False

    _await(are_deleted, f"the records of {name} deleted")


def count_partitions(admin: AdminClient, name: str) -> int:
    """How many a topic has; 0 where there is none of that name."""
    topic = admin.list_topics(timeout=PATIENCE).topics.get(name)
    return len(topic.partitions) if topic else 0


def _await(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE:.0f} s: {what}")
        time.sleep(0.02)
