"""A clock that runs fast, for what can't wait two days."""

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
"""Seconds."""

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
    """A time that was the real one once, and has gone so many times as fast since."""

    started: float
    """Seconds since 1970."""
    factor: float

    @classmethod
    def from_arguments(cls) -> "Clock":
        """As ``arguments`` says it to another process: its first two."""
        return cls(*map(float, sys.argv[1:3]))

    @property
    def arguments(self) -> list[str]:
        return [repr(self.started), repr(self.factor)]

    def now(self) -> float:
        """Seconds since 1970 by this clock."""
        return self.started + (time.time() - self.started) * self.factor

    def wait_until(
        self, moment: float, wait: Callable[[float], object] = time.sleep
    ) -> None:
        """Wait until the clock shows that many seconds since 1970."""
        wait(max(0.0, (moment - self.now()) / self.factor))

    def install(self, database_url: str) -> None:
        """Make it the one of a database, for all that is made or asked there later.

        A name is looked up where the search path says, in PostgreSQL's own functions
        first unless it says otherwise; ``now`` and ``clock_timestamp`` are found here.
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
        """Make it the one of topics; whether producers stamp their messages by it.

        Kafka itself has no clock but the machine's: a message may be from beyond it,
        and what is counted by it is as much shorter as this one is faster.
        """
        admin = Admin(cluster).client
        changes = []
        for topic, stamped in topics.items():
            config = {
                "delete.retention.ms": DAY,
                "file.delete.delay.ms": MINUTE,
                # Else by the messages' own times
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
