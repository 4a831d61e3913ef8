"""The settings, which come from environment variables only."""

import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import platformdirs
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from firstclick.core.cluster import Cluster, Mechanism, Protocol, Security, pem
from firstclick.core.errors import SettingsError
from firstclick.core.project import PROJECT

ROOT_HOME = Path("/var/lib/firstclick")


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))


def _default_home() -> Path:
    if os.geteuid() == 0:
        return ROOT_HOME
    return platformdirs.user_data_path("firstclick", appauthor=False)


def _is_url(url: str) -> str:
    if not re.match(r"postgres(ql)?://", url):
        raise ValueError
    try:
        conninfo_to_dict(url)
    except ProgrammingError as error:
        raise ValueError from error
    return url


def _is_schema(name: str) -> str:
    # At most 51: PostgreSQL's limit of 63 bytes minus the suffix _maintenance
    if not re.fullmatch(r"(?!pg_)[a-z_][a-z0-9_]{0,50}", name):
        raise ValueError
    return name


def _is_prefix(prefix: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,200}", prefix):
        raise ValueError
    return prefix


def _is_host(host: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:-]{1,253}", host):
        raise ValueError
    return host


def _are_servers(servers: str) -> str:
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not re.fullmatch(r"[0-9]{1,5}", port):
            raise ValueError
    return servers


def _is_project(directory: Path) -> Path:
    if not (directory / "dbt_project.yml").is_file():
        raise ValueError
    return directory


def _setting(name: str, expected: str, default: Any = None) -> Any:
    return Field(default=default, validation_alias=name, description=expected)


def _is_certificate(value: str) -> str:
    from cryptography import x509

    x509.load_pem_x509_certificates(pem(value))
    return value


def _is_key(value: str) -> str:
    pem(value)
    return value


Port = Annotated[int, Field(ge=1, le=65535)]
File = Annotated[Path, AfterValidator(_absolute)]
Certificate = Annotated[str, AfterValidator(_is_certificate)]

_SECRET = ("DATABASE_URL", "KAFKA_SASL_PASSWORD", "KAFKA_SSL_KEY")
_SASL = ("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD")
_TOGETHER = (
    _SASL,
    ("KAFKA_SSL_CERTIFICATE", "KAFKA_SSL_KEY"),
    ("FIRSTCLICK_TLS_CERTIFICATE", "FIRSTCLICK_TLS_KEY", "FIRSTCLICK_TLS_CA"),
)


class Settings(BaseSettings):
    """The settings of a pipeline. An empty environment variable counts as unset."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", frozen=True
    )

    home: Annotated[Path, AfterValidator(_absolute)] = Field(
        default_factory=_default_home,
        validation_alias="FIRSTCLICK_HOME",
        description="a directory",
    )
    """The directory that holds the servers' data, passwords, ports and logs. Defaults
    to `/var/lib/firstclick` for root, else to your platform's user-data directory, for
    example `~/.local/share/firstclick`. Two homes are two pipelines."""

    database_url: Annotated[str, AfterValidator(_is_url)] | None = _setting(
        "DATABASE_URL", "postgresql://user:password@host:port/database"
    )
    """A PostgreSQL server of version 18 or newer. If unset, First Click starts one."""

    kafka_bootstrap_servers: Annotated[str, AfterValidator(_are_servers)] | None = (
        _setting("KAFKA_BOOTSTRAP_SERVERS", "host:port, several separated by commas")
    )
    """A Kafka cluster. If unset, First Click starts one."""

    kafka_security_protocol: Protocol = _setting(
        "KAFKA_SECURITY_PROTOCOL",
        "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
        "PLAINTEXT",
    )
    """How to connect to that cluster. The protocols with SASL need a user and a
    password."""

    kafka_sasl_mechanism: Mechanism = _setting(
        "KAFKA_SASL_MECHANISM",
        "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
        "SCRAM-SHA-256",
    )
    """How that cluster checks the password."""

    kafka_sasl_username: str | None = _setting("KAFKA_SASL_USERNAME", "a user")
    """The user for SASL."""

    kafka_sasl_password: str | None = _setting("KAFKA_SASL_PASSWORD", "a password")
    """That user's password."""

    kafka_ssl_ca: Certificate | None = _setting("KAFKA_SSL_CA", "PEM, or a file of it")
    """The authority that signed the cluster's certificate. If unset, the authorities
    that your system trusts."""

    kafka_ssl_certificate: Certificate | None = _setting(
        "KAFKA_SSL_CERTIFICATE", "PEM, or a file of it"
    )
    """The client certificate, if the cluster asks for one."""

    kafka_ssl_key: Annotated[str, AfterValidator(_is_key)] | None = _setting(
        "KAFKA_SSL_KEY", "PEM, or a file of it"
    )
    """The key of the client certificate."""

    tls: bool = _setting("FIRSTCLICK_TLS", "true or false", False)
    """Whether the servers that First Click starts accept TLS connections only, and
    Kafka asks for a password. The bundled PostgreSQL was built without TLS: set
    `FIRSTCLICK_POSTGRES_PROGRAMS` as well."""

    tls_certificate: File | None = _setting("FIRSTCLICK_TLS_CERTIFICATE", "a file")
    """The certificate of these servers in PEM, for the address 127.0.0.1. If unset,
    First Click generates one."""

    tls_key: File | None = _setting("FIRSTCLICK_TLS_KEY", "a file")
    """The key of that certificate in PEM, without a passphrase."""

    tls_ca: File | None = _setting("FIRSTCLICK_TLS_CA", "a file")
    """The authority that signed that certificate, in PEM."""

    postgres_programs: File | None = _setting(
        "FIRSTCLICK_POSTGRES_PROGRAMS", "a directory"
    )
    """The directory of another PostgreSQL 18's programs, for example
    `/usr/lib/postgresql/18/bin`."""

    postgres_port: Port | None = _setting(
        "FIRSTCLICK_POSTGRES_PORT", "a port from 1 to 65535"
    )
    """The port of the PostgreSQL that First Click starts. If unset, it chooses a free
    one at the first start and keeps it."""

    kafka_port: Port | None = _setting(
        "FIRSTCLICK_KAFKA_PORT", "a port from 1 to 65535"
    )
    """The port of the Kafka that First Click starts. If unset, it chooses a free one at
    the first start and keeps it."""

    live_port: Port | None = _setting("FIRSTCLICK_LIVE_PORT", "a port from 1 to 65535")
    """The port of the live page. If unset, First Click chooses a free one at the first
    start and keeps it."""

    live_host: Annotated[str, AfterValidator(_is_host)] = _setting(
        "FIRSTCLICK_LIVE_HOST", "an address or the name of a host", "127.0.0.1"
    )
    """The address that the live page listens on. If other machines can reach it, for
    example with `0.0.0.0`, the page asks for a token, which `firstclick up` prints."""

    live_token: str | None = _setting("FIRSTCLICK_LIVE_TOKEN", "a secret text")
    """That token. If unset, First Click generates one and keeps it."""

    postgres_user: str = _setting("FIRSTCLICK_POSTGRES_USER", "a user", "nobody")
    """The user that PostgreSQL runs as if root starts it. PostgreSQL refuses to run as
    root."""

    expire: bool = _setting("FIRSTCLICK_EXPIRE", "true or false", True)
    """Whether `firstclick up` deletes events that are older than the retention."""

    metrics: Annotated[Path, AfterValidator(_absolute)] | None = _setting(
        "FIRSTCLICK_METRICS", "a directory"
    )
    """The directory in which the workers leave their metrics for the live page.
    `firstclick up` sets it."""

    kafka_flush_messages: Annotated[int, Field(ge=1)] | None = _setting(
        "FIRSTCLICK_KAFKA_FLUSH_MESSAGES", "a whole number from 1"
    )
    """How many messages Kafka may accept before it writes them to disk. If unset, Kafka
    writes every second. `1` loses nothing in a power failure, and is slower."""

    partitions: Annotated[int, Field(ge=1, le=256)] = _setting(
        "FIRSTCLICK_PARTITIONS", "a whole number from 1 to 256", 4
    )
    """The number of partitions of each topic that First Click creates."""

    schema_name: Annotated[str, AfterValidator(_is_schema)] = _setting(
        "FIRSTCLICK_SCHEMA",
        "at most 51 lower-case letters, digits and underscores, starting with neither "
        "a digit nor pg_",
        "firstclick",
    )
    """The schema of the relations. A different schema for each pipeline lets several
    share a PostgreSQL server."""

    topic_prefix: Annotated[str, AfterValidator(_is_prefix)] = _setting(
        "FIRSTCLICK_TOPIC_PREFIX", "at most 200 letters, digits, dots, _ and -", ""
    )
    """Put before the name of each topic: `shop1.` makes `clicks` into `shop1.clicks`. A
    different prefix for each pipeline lets several share a Kafka cluster."""

    target: Literal["embedded", "materialize", "risingwave"] = _setting(
        "FIRSTCLICK_TARGET", "embedded, materialize or risingwave", "embedded"
    )
    """The engine that runs the models."""

    project: Annotated[File, AfterValidator(_is_project)] = Field(
        default_factory=lambda: PROJECT,
        validation_alias="FIRSTCLICK_PROJECT",
        description="a directory with a dbt_project.yml, as `firstclick init` writes",
    )
    """The directory of your dbt project, as `firstclick init` writes it. If unset, the
    models, seeds and dashboards that First Click brings."""

    @property
    def live_is_private(self) -> bool:
        """True if only this machine can reach the live page."""
        if self.live_host == "localhost":
            return True
        try:
            return ip_address(self.live_host).is_loopback
        except ValueError:
            return False

    @property
    def kafka(self) -> Cluster | None:
        """The cluster of KAFKA_BOOTSTRAP_SERVERS, or None if it is not set."""
        if self.kafka_bootstrap_servers is None:
            return None
        return Cluster(
            self.kafka_bootstrap_servers,
            Security(
                self.kafka_security_protocol,
                self.kafka_sasl_mechanism,
                self.kafka_sasl_username,
                self.kafka_sasl_password,
                self.kafka_ssl_ca,
                self.kafka_ssl_certificate,
                self.kafka_ssl_key,
            ),
        )

    @classmethod
    def load(cls) -> Self:
        """Read the settings from the environment.

        Raises SettingsError for the first variable that can't be used, or that is
        missing although another one requires it. The message shows the value, except
        if it may contain a password.
        """
        try:
            return cls()._complete()
        except ValidationError as error:
            alias = str(error.errors()[0]["loc"][0])
        value = "not usable" if alias in _SECRET else repr(os.environ[alias])
        expected = next(
            field.description
            for field in cls.model_fields.values()
            if field.validation_alias == alias
        )
        raise SettingsError(
            f"{alias} is {value}, expected {expected}: correct it or unset it"
        )

    def _complete(self) -> Self:
        given = self.environment()
        protocol = self.kafka_security_protocol
        for names in _TOGETHER:
            there = [name for name in names if name in given]
            if names is _SASL and protocol.startswith("SASL"):
                there.append(f"KAFKA_SECURITY_PROTOCOL={protocol}")
            for name in names:
                if there and name not in given:
                    raise SettingsError(
                        f"{name} is not set, expected it with {there[-1]}: set it"
                    )
        return self

    def isolated(self, home: Path) -> Self:
        """Return settings for a pipeline in ``home``, on bundled servers only.

        Servers, ports, schema, topic prefix and target in the environment don't count.
        """
        names = (
            *("database_url", "kafka_bootstrap_servers", "schema_name", "topic_prefix"),
            *("postgres_port", "kafka_port", "live_port", "live_host", "live_token"),
            *("metrics", "target"),
        )
        own = {name: type(self).model_fields[name].default for name in names}
        return self.model_copy(update={**own, "home": home})

    def environment(self) -> dict[str, str]:
        """Return the environment variables that give another process these settings."""
        return {
            str(field.validation_alias): str(value)
            for name, field in type(self).model_fields.items()
            if (value := getattr(self, name)) is not None
        }
