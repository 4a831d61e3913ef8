"""A Kafka cluster: its addresses, and the credentials of its clients."""

from collections.abc import Iterable, Mapping
from concurrent.futures import wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

PRODUCER: Mapping[str, Any] = {
    # Default: off. The producer numbers its messages, so that Kafka neither stores a
    # batch twice nor out of order if the producer retries it
    "enable.idempotence": True,
    # Required by idempotence. With acks=1, a leader could die with messages that no
    # replica has
    "acks": "all",
    # Partition like Kafka's Java clients. librdkafka's default can send a key to
    # another partition than they do. Messages of one key in two partitions have no
    # order, and Kafka never compacts them together
    "partitioner": "murmur2_random",
    # JSON compresses well, and lz4 costs little CPU
    "compression.type": "lz4",
    # Callbacks report errors. librdkafka would print them to stderr as well
    "log_level": 0,
}
"""librdkafka settings of every producer in this project."""

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class Security(msgspec.Struct, frozen=True):
    """How a client authenticates itself and the cluster.

    Certificates and keys are PEM, or paths of PEM files. Without ``ca``, the client
    trusts the system's certificate authorities.
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
    """A Kafka cluster's addresses, and a client's credentials."""

    servers: str
    """One or more ``host:port``, separated by commas."""
    security: Security = field(default_factory=Security)

    def client(self) -> dict[str, Any]:
        """Return the settings that every librdkafka client of the cluster needs."""
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
        """Create a producer with the settings of `PRODUCER`.

        ``settings`` adds librdkafka settings, or overrides them, for example
        ``{"linger.ms": 1}``. Raises KafkaException if librdkafka refuses one.
        """
        return Producer({**self.client(), **PRODUCER, **(settings or {})})

    def environment(self) -> dict[str, str]:
        """Return the environment variables that give another process this cluster."""
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
    """A topic that exists, as Kafka describes it."""

    id: str | None
    """Kafka's id of the topic, which changes if the topic is deleted and created again.
    None if the brokers are older than Kafka 2.8, which introduced topic ids."""
    partitions: tuple[int, ...]


def describe_topics(
    client: AdminClient, names: Iterable[str], seconds: float
) -> dict[str, TopicDescription]:
    """Return descriptions of those topics that exist, by name.

    Kafka has ``seconds`` to answer. Raises KafkaException.
    """
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
    """An admin client that can tell why a request failed."""

    def __init__(self, cluster: Cluster) -> None:
        self._last_error = LastError()
        self.client = AdminClient(
            cluster.client() | {"error_cb": self._last_error.note, "log_level": 0}
        )

    def reason(self, error: KafkaException) -> str:
        """Return why a request failed: librdkafka's latest error, if there is one."""
        self.client.poll(0)
        return self._last_error.reason(error)


class LastError:
    """The latest error that librdkafka reported through ``error_cb``.

    The error of a failed request, such as "timed out", rarely says why it failed. The
    latest error, such as "connection refused", usually does.
    """

    def __init__(self) -> None:
        self._latest = ""
        self.any = False
        """True if there was an error since you last set this to False."""

    def note(self, error: KafkaError) -> None:
        """Record an error. Pass this method as ``error_cb``."""
        self.any = True
        # librdkafka reports "all brokers down" after the error that says why
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._latest = error.str()

    def reason(self, error: KafkaException | KafkaError) -> str:
        """Return the latest error if there is one, else the text of ``error``."""
        failure = error.args[0] if isinstance(error, KafkaException) else error
        latest, self._latest = self._latest, ""
        return latest or str(failure.str())


def pem(value: str) -> bytes:
    """Return the PEM in a setting's value, which is PEM itself or the path of a file.

    In PEM itself, line ends may be written as ``\\n``. Raises ValueError if the value
    is neither PEM nor the path of a readable file.
    """
    if value.lstrip().startswith("-----BEGIN"):
        return value.replace("\\n", "\n").encode()
    try:
        return Path(value).read_bytes()
    except OSError as error:
        raise ValueError(str(error)) from error


def _pem(name: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {f"{name}.pem": pem(value).decode()}
