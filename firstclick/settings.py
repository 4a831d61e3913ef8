"""Settings, from environment variables alone."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

import platformdirs
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from firstclick.errors import SettingsError

ROOT_HOME = Path("/var/lib/firstclick")


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))


def _default_home() -> Path:
    if os.geteuid() == 0:
        return ROOT_HOME
    return platformdirs.user_data_path("firstclick", appauthor=False)


def _connection_url(url: str) -> str:
    if not re.match(r"postgres(ql)?://", url):
        raise ValueError("expected postgresql://user:password@host:port/database")
    try:
        conninfo_to_dict(url)
    except ProgrammingError as error:
        raise ValueError(str(error).strip()) from error
    return url


def _schema(name: str) -> str:
    # 51: PostgreSQL's 63 bytes less those of the suffix _maintenance
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,50}", name) or name.startswith("pg_"):
        raise ValueError(
            "expected at most 51 lower-case letters, digits and underscores, "
            "not starting with a digit or pg_"
        )
    return name


def _topic_prefix(prefix: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,200}", prefix):
        raise ValueError("expected at most 200 letters, digits, dots, _ and -")
    return prefix


def _servers(servers: str) -> str:
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
            raise ValueError("expected host:port, several separated by commas")
    return servers


Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """What the environment says; an empty variable counts as unset.

    Passwords in ``database_url`` are never part of an error's message.
    """

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    home: Annotated[Path, AfterValidator(_absolute)] = Field(
        default_factory=_default_home, validation_alias="FIRSTCLICK_HOME"
    )
    """Where everything is kept: the servers' data, passwords, ports, logs."""
    database_url: Annotated[str, AfterValidator(_connection_url)] | None = Field(
        default=None, validation_alias="DATABASE_URL"
    )
    """A PostgreSQL server of at least version 18 to use, rather than an own one."""
    kafka_bootstrap_servers: Annotated[str, AfterValidator(_servers)] | None = Field(
        default=None, validation_alias="KAFKA_BOOTSTRAP_SERVERS"
    )
    """A Kafka cluster to use, rather than an own one."""
    postgres_port: Port | None = Field(
        default=None, validation_alias="FIRSTCLICK_POSTGRES_PORT"
    )
    """Where the own PostgreSQL listens; else a free one is chosen and remembered."""
    kafka_port: Port | None = Field(
        default=None, validation_alias="FIRSTCLICK_KAFKA_PORT"
    )
    """Where the own Kafka listens; else a free one is chosen and remembered."""
    postgres_user: str = Field(
        default="nobody", validation_alias="FIRSTCLICK_POSTGRES_USER"
    )
    """Whom the own PostgreSQL runs as when started by root, whom it refuses."""
    kafka_flush_messages: Annotated[int, Field(ge=1)] | None = Field(
        default=None, validation_alias="FIRSTCLICK_KAFKA_FLUSH_MESSAGES"
    )
    """The own Kafka's fsync after so many messages; else every second."""
    partitions: Annotated[int, Field(ge=1, le=256)] = Field(
        default=4, validation_alias="FIRSTCLICK_PARTITIONS"
    )
    """Of each topic, when it is made."""
    schema_name: Annotated[str, AfterValidator(_schema)] = Field(
        default="firstclick", validation_alias="FIRSTCLICK_SCHEMA"
    )
    topic_prefix: Annotated[str, AfterValidator(_topic_prefix)] = Field(
        default="", validation_alias="FIRSTCLICK_TOPIC_PREFIX"
    )
    target: Literal["embedded", "materialize", "risingwave"] = Field(
        default="embedded", validation_alias="FIRSTCLICK_TARGET"
    )

    @classmethod
    def load(cls) -> Self:
        """Read the environment.

        Raises SettingsError, in one line, for the first value that can't be used.
        """
        try:
            return cls()
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            name = str(first["loc"][0])
            problem = first["msg"].removeprefix("Value error, ")
            came = ""
            if name != "DATABASE_URL":
                came = f" is {os.environ.get(name, '')!r}"
            raise SettingsError(
                f"{name}{came}: {_one_line(problem)}; correct it or unset it"
            ) from error

    def environment(self) -> dict[str, str]:
        """The variables that make these settings, for another process."""
        return {
            str(field.validation_alias): str(value)
            for name, field in type(self).model_fields.items()
            if (value := getattr(self, name)) is not None
        }


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].lower() + text[1:]
