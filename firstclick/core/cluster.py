"""A Kafka cluster, and what its clients need to be let in."""

from collections.abc import Iterable, Mapping
from concurrent.futures import wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

PRODUCER: Mapping[str, Any] = {
    # Kafka numbers the producer's messages, so that a batch that is sent again is
    # neither doubled nor out of order
    "enable.idempotence": True,
    # Idempotence needs it: a leader may die with what it alone has acknowledged
    "acks": "all",
    # As Kafka's Java clients do. librdkafka's default would send a key to another
    # partition than they, where its messages are out of order and never compacted
    "partitioner": "murmur2_random",
    # JSON compresses well, and lz4 costs little CPU
    "compression.type": "lz4",
    # Callbacks report errors; librdkafka would write them to stderr as well
    "log_level": 0,
}
"""What every producer of this project's has in common."""

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class Security(msgspec.Struct, frozen=True):
    """How a client proves who it is, and knows the cluster.

    Certificates and keys are PEM, or the paths of files that hold it. Without ``ca``
    the system's authorities are trusted.
    """

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-256"
    username: str | None = None
    password: str | None = None
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    @property
    def asks_password(self) -> bool:
        return self.protocol.startswith("SASL")

    @property
    def is_encrypted(self) -> bool:
        return self.protocol.endswith("SSL")


@dataclass(frozen=True)
class Cluster:
    """Addresses, and how to get in."""

    servers: str
    """host:port, several separated by commas."""
    security: Security = field(default_factory=Security)

    def client(self) -> dict[str, Any]:
        """What each client of librdkafka's begins its configuration with."""
        config = {"bootstrap.servers": self.servers}
        security = self.security
        if security.protocol != "PLAINTEXT":
            config["security.protocol"] = security.protocol
        if security.asks_password:
            config |= {
                "sasl.mechanism": security.mechanism,
                "sasl.username": security.username or "",
                "sasl.password": security.password or "",
            }
        if security.is_encrypted:
            config |= _pem("ssl.ca", security.ca)
            config |= _pem("ssl.certificate", security.certificate)
            config |= _pem("ssl.key", security.key)
        return config

    def producer(self, settings: Mapping[str, Any] | None = None) -> Producer:
        """Make a producer with `PRODUCER` and ``settings``, librdkafka's, which win.

        Raises KafkaException where they can't be used.
        """
        return Producer({**self.client(), **PRODUCER, **(settings or {})})

    def environment(self) -> dict[str, str]:
        """The variables from which another process makes the same."""
        security = self.security
        variables = {
            "KAFKA_BOOTSTRAP_SERVERS": self.servers,
            "KAFKA_SECURITY_PROTOCOL": security.protocol,
            "KAFKA_SASL_MECHANISM": security.mechanism,
            "KAFKA_SASL_USERNAME": security.username,
            "KAFKA_SASL_PASSWORD": security.password,
            "KAFKA_SSL_CA": security.ca,
            "KAFKA_SSL_CERTIFICATE": security.certificate,
            "KAFKA_SSL_KEY": security.key,
        }
        if not security.asks_password:
            del variables["KAFKA_SASL_MECHANISM"]
        return {name: value for name, value in variables.items() if value}


@dataclass(frozen=True)
class TopicDescription:
    """What Kafka says of a topic that exists."""

    id: str | None
    """A topic that is deleted and created again gets another one. None where the
    brokers are older than Kafka 2.8, which has no ids."""
    partitions: tuple[int, ...]


def describe_topics(
    client: AdminClient, names: Iterable[str], seconds: float
) -> dict[str, TopicDescription]:
    """Describe those of the topics that exist. Raises KafkaException."""
    asked = client.describe_topics(
        TopicCollection(list(names)), request_timeout=seconds
    )
    if wait(asked.values(), 2 * seconds).not_done:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    found = {}
    for name, answer in asked.items():
        try:
            topic = answer.result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                continue
            raise
        identity = topic.topic_id
        bits = (
            identity.get_most_significant_bits(),
            identity.get_least_significant_bits(),
        )
        found[name] = TopicDescription(
            str(identity) if any(bits) else None,
            tuple(sorted(partition.id for partition in topic.partitions)),
        )
    return found


class Admin:
    """A client that asks about topics, and can say why it got no answer."""

    def __init__(self, cluster: Cluster) -> None:
        self._last_error = LastError()
        self.client = AdminClient(
            cluster.client() | {"error_cb": self._last_error.note, "log_level": 0}
        )

    def reason(self, error: KafkaException) -> str:
        self.client.poll(0)
        return self._last_error.reason(error)


class LastError:
    """librdkafka's latest one: an error of a request alone seldom says why."""

    def __init__(self) -> None:
        self._latest = ""
        self.any = False
        """Whether there was one; set back by whoever asks."""

    def note(self, error: KafkaError) -> None:
        """For ``error_cb``."""
        self.any = True
        # That all brokers are away is said after the reason
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._latest = error.str()

    def reason(self, error: KafkaException | KafkaError) -> str:
        """Say why something failed, by that complaint where there is one."""
        failure = error.args[0] if isinstance(error, KafkaException) else error
        latest, self._latest = self._latest, ""
        return latest or str(failure.str())


def pem(value: str) -> bytes:
    """The PEM that a setting is, or that is in the file that it names.

    Line ends may be written as ``\\n``. Raises ValueError where it is neither.
    """
    if value.lstrip().startswith("-----BEGIN"):
        return value.replace("\\n", "\n").encode()
    try:
        return Path(value).read_bytes()
    except OSError as error:
        raise ValueError(str(error)) from error


def _pem(name: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {f"{name}.pem": pem(value).decode()}
