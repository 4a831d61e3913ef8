"""A clock that runs fast, for tests of what happens only after two days."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from psycopg import sql

from firstclick.core.cluster import Admin, Cluster

MINUTE, HOUR, DAY = 60, 3600, 86_400
"""In seconds."""

_SCHEMA = "clock"

_FUNCTIONS = """
create schema {schema};
create function {schema}.now() returns timestamptz language sql stable
return to_timestamp({started})
    + (pg_catalog.now() - to_timestamp({started})) * {factor};
create function {schema}.clock_timestamp() returns timestamptz language sql volatile
return to_timestamp({started})
    + (pg_catalog.clock_timestamp() - to_timestamp({started})) * {factor};
grant usage on schema {schema} to public
"""

_SEARCH_PATH = (
    'alter database {database} set search_path = {schema}, pg_catalog, "$user"'
)


@dataclass(frozen=True)
class Clock:
    """A clock that showed the real time once and runs ``factor`` times as fast.

    For example, with a factor of 288 a day passes in five minutes.
    """

    started: float
    """When the clock showed the real time, in seconds since 1970."""
    factor: float

    @classmethod
    def from_arguments(cls) -> "Clock":
        """Return the clock that the first two arguments of this process describe.

        Another process passes them on from ``arguments``.
        """
        return cls(*map(float, sys.argv[1:3]))

    @property
    def arguments(self) -> list[str]:
        return [repr(self.started), repr(self.factor)]

    def now(self) -> float:
        """Return the time by this clock, in seconds since 1970."""
        return self.started + (time.time() - self.started) * self.factor

    def wait_until(
        self, moment: float, wait: Callable[[float], object] = time.sleep
    ) -> None:
        """Wait until the clock shows ``moment``, in seconds since 1970."""
        wait(max(0.0, (moment - self.now()) / self.factor))

    def install(self, database_url: str) -> None:
        """Make a database use this clock for everything created or queried later.

        PostgreSQL looks up a function along the search path, and in its own catalog
        first unless the path says otherwise. This puts a schema with functions ``now``
        and ``clock_timestamp`` before the catalog.
        """
        with psycopg.connect(database_url) as connection:
            names = {
                "schema": sql.Identifier(_SCHEMA),
                "database": sql.Identifier(connection.info.dbname),
                "started": sql.Literal(self.started),
                "factor": sql.Literal(self.factor),
            }
            for statement in (_FUNCTIONS, _SEARCH_PATH):
                connection.execute(sql.SQL(statement).format(**names))

    def compress(self, cluster: Cluster, topics: dict[str, bool]) -> None:
        """Make topics keep their messages by this clock.

        ``topics`` maps a topic to whether its producer stamps the messages by this
        clock. Kafka itself always uses the machine's clock. So a stamped topic accepts
        timestamps in the future, and each duration that Kafka measures is divided by
        the clock's factor.
        """
        admin = Admin(cluster).client
        changes = []
        for topic, stamped in topics.items():
            config = {
                "delete.retention.ms": DAY,
                "file.delete.delay.ms": MINUTE,
                # Where messages are stamped, Kafka rolls segments by their times, which
                # already run fast
                **({} if stamped else {"segment.ms": HOUR}),
            }
            entries = {name: self._shortened(most) for name, most in config.items()}
            if stamped:
                entries["message.timestamp.type"] = "CreateTime"
                entries["message.timestamp.after.max.ms"] = str(2**63 - 1)
            changes.append(
                ConfigResource(
                    ResourceType.TOPIC,
                    topic,
                    incremental_configs=[
                        ConfigEntry(
                            name, value, incremental_operation=AlterConfigOpType.SET
                        )
                        for name, value in entries.items()
                    ],
                )
            )
        for done in admin.incremental_alter_configs(changes).values():
            done.result(MINUTE)

    def _shortened(self, seconds: float) -> str:
        return str(max(1, round(1000 * seconds / self.factor)))
