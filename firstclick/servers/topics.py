"""Creates and checks the pipeline's topics."""

from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from firstclick.core.cluster import Admin, Cluster
from firstclick.core.durations import hours_of_messages
from firstclick.core.errors import ServerError
from firstclick.core.project import PROJECT

TOPICS = ("clicks", "purchases", "checkouts")

_HOUR_MS = 3_600_000
_TIMEOUT = 10
"""Seconds that Kafka may take to answer."""

_CONFIG = {
    # compact: a newer message replaces the one with its key, and tombstones delete.
    # delete: Kafka also deletes messages after retention.ms
    "cleanup.policy": "compact,delete",
    # With the producers' timestamps, a wrong clock would decide which events are in the
    # future, and which of two messages is newer
    "message.timestamp.type": "LogAppendTime",
    # Kafka only deletes and compacts closed segments, so close one each hour (default:
    # a week) or at 256 MB (default: 1 GB)
    "segment.ms": str(_HOUR_MS),
    "segment.bytes": str(256 * 1024 * 1024),
    # Compact once replaced messages may take a quarter of the space of those kept. With
    # the default, 0.5, they may take as much
    "min.cleanable.dirty.ratio": "0.2",
}


@dataclass(frozen=True)
class TopicProblem:
    """A setting of an existing topic that doesn't fit the pipeline."""

    topic: str
    problem: str


def create_topics(
    cluster: Cluster,
    prefix: str,
    partitions: int,
    message_bytes: int | None,
    project: Path = PROJECT,
) -> list[str]:
    """Create the missing topics, and return their names.

    Existing topics stay as they are: see ``problems``. Each partition gets as many
    replicas as the cluster has brokers, at most three; on one node, that is one.
    ``message_bytes`` limits the size of an event, or is None for the cluster's own
    limit. A checkout contains text of two events, so it may be four times as large.
    Raises ServerError if the cluster can't be reached or refuses.
    """
    admin = Admin(cluster)
    client = admin.client
    try:
        metadata = client.list_topics(timeout=_TIMEOUT)
        missing = [
            prefix + topic for topic in TOPICS if prefix + topic not in metadata.topics
        ]
        if not missing:
            return []
        replicas = min(3, len(metadata.brokers))
        created = client.create_topics(
            [
                NewTopic(
                    topic,
                    num_partitions=partitions,
                    replication_factor=replicas,
                    config={
                        **_CONFIG,
                        "retention.ms": str(hours_of_messages(project) * _HOUR_MS),
                        **_size_limit(topic, prefix, message_bytes),
                    },
                )
                for topic in missing
            ],
            operation_timeout=_TIMEOUT,
        )
        for future in created.values():
            try:
                future.result(_TIMEOUT)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
    except KafkaException as error:
        raise ServerError(
            # Cause: The cluster does not answer, or your user may not create topics.
            # Remedy: Start the cluster, or [create the topics
            #   yourself](../how-to/use-your-own-servers.md#kafka).
            f"the topics can't be made on {cluster.servers}: "
            f"{admin.reason(error)}; look at the cluster, or unset "
            "KAFKA_BOOTSTRAP_SERVERS to have one started"
        ) from error
    return missing


def keep_long_enough(
    cluster: Cluster, prefix: str, project: Path = PROJECT
) -> list[str]:
    """Raise the topics' retention if the models need messages for longer.

    They do if you changed ``retention`` or ``attribution_window`` after First Click
    created the topics. Returns the names of the changed topics. Raises ServerError if
    the cluster can't be reached or refuses.
    """
    admin = Admin(cluster)
    needed = hours_of_messages(project) * _HOUR_MS
    resources = [ConfigResource(ResourceType.TOPIC, prefix + t) for t in TOPICS]
    try:
        short = [
            resource
            for resource, future in admin.client.describe_configs(
                resources, request_timeout=_TIMEOUT
            ).items()
            if 0 <= int(future.result(_TIMEOUT)["retention.ms"].value) < needed
        ]
        for resource in short:
            resource.add_incremental_config(
                ConfigEntry(
                    "retention.ms",
                    str(needed),
                    incremental_operation=AlterConfigOpType.SET,
                )
            )
        if short:
            for done in admin.client.incremental_alter_configs(short).values():
                done.result(_TIMEOUT)
    except KafkaException as error:
        raise ServerError(
            f"the topics' retention can't be set on {cluster.servers}: "
            f"{admin.reason(error)}; see to the cluster"
        ) from error
    return [resource.name for resource in short]


def problems(
    client: AdminClient, prefix: str, project: Path = PROJECT
) -> list[TopicProblem]:
    """Return the problems of the topics that exist. Raises KafkaException."""
    needed = hours_of_messages(project)
    resources = [ConfigResource(ResourceType.TOPIC, prefix + t) for t in TOPICS]
    found = []
    for resource, future in client.describe_configs(
        resources, request_timeout=_TIMEOUT
    ).items():
        try:
            config = future.result(_TIMEOUT)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                continue
            raise
        if "compact" not in config["cleanup.policy"].value:
            found.append(
                TopicProblem(
                    resource.name,
                    # Cause: Somebody else created the topic.
                    # Remedy: Change it with `kafka-configs --alter`. Messages without a
                    #   key that are in it already stay.
                    "is not compacted, so messages without a key get in: set "
                    "cleanup.policy to compact,delete",
                )
            )
        if config["message.timestamp.type"].value != "LogAppendTime":
            found.append(
                TopicProblem(
                    resource.name,
                    # Cause: Somebody else created the topic.
                    # Remedy: Change it with `kafka-configs --alter`. Messages that are
                    #   in it already keep their times.
                    "has the producers' times, so their clocks decide what is in the "
                    "future: set message.timestamp.type to LogAppendTime",
                )
            )
        kept = int(config["retention.ms"].value)
        if 0 <= kept < needed * _HOUR_MS:
            found.append(
                TopicProblem(
                    resource.name,
                    # Cause: Kafka would delete messages before the models do, because
                    #   `retention` or `attribution_window` is longer now than when the
                    #   topic was created.
                    # Remedy: Change it with `kafka-configs --alter`. On a Kafka that it
                    #   starts, `firstclick up` does that itself.
                    f"keeps messages for {kept / _HOUR_MS:,.0f} hours, so they can't "
                    f"all be read again: set retention.ms to {needed * _HOUR_MS}, by "
                    "the project's retention and attribution_window",
                )
            )
    return found


def _size_limit(topic: str, prefix: str, message_bytes: int | None) -> dict[str, str]:
    if message_bytes is None:
        return {}
    factor = 4 if topic == f"{prefix}checkouts" else 1
    return {"max.message.bytes": str(factor * message_bytes)}
