"""A pipeline of conformance's own on whatever servers the settings name."""

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    NewTopic,
)
from psycopg import sql

from firstclick.core.cluster import Admin, Cluster
from firstclick.core.database import postgres_environment
from firstclick.core.errors import DeploymentError, ServerError, SettingsError
from firstclick.core.pipeline import Pipeline
from firstclick.core.project import PROJECT
from firstclick.core.settings import Settings
from firstclick.operate import stack as stacks
from firstclick.servers.roles import LIMITS, READER, role_of, role_url
from harness import PATIENCE, Harness

_ANSWER, _TIMEOUT = 5.0, 30.0
"""Seconds."""
_TOPICS = {
    # Not compacted: so it takes messages without a key, and keeps all that is sent
    "clicks": "delete",
    "purchases": "delete",
    "checkouts": "compact",
}


@contextmanager
def deployed(settings: Settings, patience: float = PATIENCE) -> Iterator[Harness]:
    """A pipeline with a schema and topics of its own, for as long as the block runs.

    The embedded engine's servers are started where the settings name none; another
    engine's must be there. Of a server that was given nothing is left behind. Raises
    FirstClickError.
    """
    name = f"conformance_{uuid.uuid4().hex[:8]}"
    with ExitStack() as exits:
        if settings.target == "embedded":
            settings = exits.enter_context(_servers(settings))
        settings = settings.model_copy(
            update={"schema_name": name, "topic_prefix": f"{name}."}
        )
        kafka, database_url = settings.kafka, settings.database_url
        if kafka is None or database_url is None:
            raise SettingsError(
                f"FIRSTCLICK_TARGET is {settings.target!r} without DATABASE_URL or "
                "KAFKA_BOOTSTRAP_SERVERS, expected both: set them to where "
                f"{settings.target} and a Kafka that it reaches run"
            )
        exits.enter_context(_schemas(database_url, settings))
        exits.enter_context(_topics(kafka, settings))
        if settings.target == "embedded":
            home = exits.enter_context(_home())
            # The logs hold what is older than anything that is kept
            own = settings.model_copy(update={"home": home, "expire": False})
            stack = stacks.start(own, detach=False).pipeline
        else:
            # Of dbt's files alone: nothing is started, so there is nothing to stop
            home = Path(exits.enter_context(tempfile.TemporaryDirectory()))
            _dbt_build(settings, database_url, home)
            stack = Pipeline(
                home,
                database_url,
                kafka,
                name,
                settings.topic_prefix,
                settings.target,
                role_url(database_url, role_of(READER, name), password=""),
            )
        yield exits.enter_context(Harness(stack, settings.target, patience))


@contextmanager
def _servers(settings: Settings) -> Iterator[Settings]:
    """Settings that name servers: started here unless they are given."""
    if settings.database_url and settings.kafka_bootstrap_servers:
        yield settings
        return
    with _home() as home:
        started = stacks.start(
            settings.model_copy(update={"home": home}), detach=False, servers_only=True
        ).pipeline
        yield settings.model_copy(
            update={
                "database_url": started.database_url,
                "kafka_bootstrap_servers": started.bootstrap_servers,
            }
        )


@contextmanager
def _home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="firstclick-conformance-"))
    try:
        yield home
    finally:
        stacks.down(home)
        shutil.rmtree(home)


@contextmanager
def _topics(kafka: Cluster, settings: Settings) -> Iterator[None]:
    kafka_admin = Admin(kafka)
    admin = kafka_admin.client
    topics = [
        NewTopic(
            settings.topic_prefix + topic,
            settings.partitions,
            config={
                "cleanup.policy": policy,
                "message.timestamp.type": "LogAppendTime",
            },
        )
        for topic, policy in _TOPICS.items()
    ]
    try:
        # Without an answer to this, making topics would only time out
        admin.list_topics(timeout=_ANSWER)
        for created in admin.create_topics(topics).values():
            created.result(_TIMEOUT)
    except KafkaException as error:
        raise ServerError(
            f"no topics can be made on {kafka.servers}: {kafka_admin.reason(error)}; "
            "expected Kafka that lets us: see KAFKA_BOOTSTRAP_SERVERS"
        ) from error
    try:
        yield
    finally:
        names = [topic.topic for topic in topics]
        for deleted in admin.delete_topics(names).values():
            deleted.result(_TIMEOUT)


@contextmanager
def _schemas(database_url: str, settings: Settings) -> Iterator[None]:
    """Drops at the end the schemas that are made meanwhile, and who may read them."""
    try:
        psycopg.connect(database_url, connect_timeout=10).close()
    except psycopg.Error as error:
        raise ServerError(
            f"no answer from the database: {' '.join(str(error).split())}; expected "
            f"the {settings.target} engine there: see DATABASE_URL"
        ) from error
    try:
        yield
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            owner = connection.info.user
            for suffix in ("_sinks", "", "_sources", "_maintenance"):
                connection.execute(
                    sql.SQL("drop schema if exists {} cascade").format(
                        sql.Identifier(settings.schema_name + suffix)
                    )
                )
            works = LIMITS if settings.target == "embedded" else (READER,)
            for work in works:
                role = sql.Identifier(role_of(work, settings.schema_name))
                if settings.target == "materialize":
                    # What it may use outside the schemas: else it can't be dropped.
                    # Only its members may take that from it
                    with suppress(psycopg.errors.UndefinedObject):
                        for statement in ("grant {} to {}", "drop owned by {}"):
                            connection.execute(
                                sql.SQL(statement).format(role, sql.Identifier(owner))
                            )
                kind = "user" if settings.target == "risingwave" else "role"
                connection.execute(
                    sql.SQL("drop {} if exists {}").format(sql.SQL(kind), role)
                )


def _dbt_build(settings: Settings, database_url: str, home: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dbt.cli.main", "--no-use-colors", "build"),
            *("--target", settings.target),
            *("--exclude-resource-type", "test", "unit_test"),
        ],
        cwd=PROJECT,
        env={
            **os.environ,
            **settings.environment(),
            **postgres_environment(database_url),
            "DBT_TARGET_PATH": str(home / "dbt"),
            "DBT_LOG_PATH": str(home / "logs"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        },
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise DeploymentError(
            f"dbt build --target {settings.target} failed, expected all models: "
            f"{done.stdout.strip()}"
        )
