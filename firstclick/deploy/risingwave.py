"""Deploy a new version on RisingWave, which can't swap schemas.

The new models are built in a schema of their own and verified against Kafka's messages.
Then two renames put them in the place of the old ones; between the two, for some
milliseconds, the schema doesn't exist. Materialized views refer to each other by id, so
they keep working. Sources and reference data are not touched.

The sink is created again on the new models and sends all checkouts again. It can't know
which keys the old sink has sent that are no longer checkouts. These get a tombstone
before the new sink is created, so that no tombstone arrives after a checkout with the
same key.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from firstclick.core.database import connect
from firstclick.core.errors import ServerError
from firstclick.core.pipeline import Pipeline
from firstclick.core.waiting import one_line, stoppable
from firstclick.deploy.models import SUFFIX, Models
from firstclick.workers.topic import NotDelivered, Topic

_OLD = "_dbt_old"
"""The suffix of the schema with the old models, while some of them are still needed."""

_BATCH = 5_000
"""How many tombstones may be in flight at once."""

# The keys of all purchases. A materialized view, because there a key that is not UTF-8
# becomes null; in a query it would be an error.
_SENT = """
create materialized view if not exists {old}.purchase_ids as
select convert_from(event_key, 'utf8') as purchase_id
from {sources}.raw_purchases
group by convert_from(event_key, 'utf8')
"""

_GONE = """
select purchase_id from {old}.purchase_ids where purchase_id is not null
except
select purchase_id from {schema}.checkouts
"""
"""Purchases that are not checkouts: the old sink may have sent their keys."""


@dataclass(frozen=True)
class RisingWave:
    """One deployment. ``say`` gets a line for each step."""

    models: Models
    say: Callable[[str], None]
    pipeline: Pipeline
    """Says where this process reaches Kafka; RisingWave may use another address."""

    def run(self) -> None:
        """Deploy the models; rename them into place only if they are correct.

        Until then, readers see the old models. Raises FirstClickError.
        """
        schema = self.models.settings.schema_name
        with self._connected() as connection:
            there = self._schemas(connection)
            if schema + _OLD in there:
                self.say("Finishing what was interrupted")
                if schema not in there:
                    self._rename(connection, SUFFIX, "")
                self._finish(connection)
            if schema not in there and schema + _OLD not in there:
                self.say("Nothing is deployed yet: building everything")
                self.models.build()
                return
            if not self._is_complete(connection):
                # dbt would keep models that exist, even if you edited them
                self.say("An earlier deployment failed: building what it lacks")
                self.models.build_sources()
            self._drop(connection, SUFFIX)
            self.say(f"Building beside {schema}")
            self.models.build_beside(
                "--exclude",
                *("config.materialized:kafka_table", "config.materialized:kafka_sink"),
            )
            self.say("Comparing it with what Kafka's messages say")
            self.models.check()
            self._rename(connection, "", _OLD)
            self._rename(connection, SUFFIX, "")
            self.say(f"It is {schema} now")
            self._finish(connection)

    def _finish(self, connection: psycopg.Connection) -> None:
        self._execute(connection, "drop sink if exists {old}.checkouts_topic")
        # A sink that an interrupted deployment created
        self._execute(connection, "drop sink if exists {schema}.checkouts_topic")
        self._execute(connection, _SENT)
        gone = self._gone(connection)
        self._send_tombstones(gone)
        # The sink, and a plain view: its SQL still names the old schema.
        self.models.dbt(
            *("run", "--full-refresh", "--select", "checkouts_topic", "expired_events")
        )
        # Keys that stopped being checkouts meanwhile; neither sink has seen it
        self._send_tombstones(self._gone(connection) - gone)
        self._drop(connection, _OLD)

    def _gone(self, connection: psycopg.Connection) -> set[str]:
        """Return the keys of purchases that are not checkouts now."""
        return {key for (key,) in self._execute(connection, _GONE)}

    def _send_tombstones(self, keys: set[str]) -> None:
        ordered = sorted(keys)
        try:
            with stoppable() as stop:
                topic = Topic(self.pipeline, "checkouts", stop)
                for begin in range(0, len(ordered), _BATCH):
                    topic.send((key, None) for key in ordered[begin : begin + _BATCH])
        except NotDelivered as error:
            raise ServerError(
                # Cause: Kafka did not accept the tombstones of checkouts that the new
                #   models don't have.
                # Remedy: Check Kafka, then deploy again.
                f"checkouts that are none any more can't be deleted: {error}; then "
                "deploy again"
            ) from error

    def _rename(self, connection: psycopg.Connection, now: str, then: str) -> None:
        schema = self.models.settings.schema_name
        connection.execute(
            sql.SQL("alter schema {} rename to {}").format(
                sql.Identifier(schema + now), sql.Identifier(schema + then)
            )
        )

    def _drop(self, connection: psycopg.Connection, suffix: str) -> None:
        name = sql.Identifier(self.models.settings.schema_name + suffix)
        connection.execute(sql.SQL("drop schema if exists {} cascade").format(name))

    def _execute(
        self, connection: psycopg.Connection, statement: str
    ) -> psycopg.Cursor[tuple[str]]:
        schema = self.models.settings.schema_name
        return connection.execute(
            sql.SQL(statement).format(
                schema=sql.Identifier(schema),
                old=sql.Identifier(schema + _OLD),
                sources=sql.Identifier(schema + "_sources"),
            )
        )

    def _is_complete(self, connection: psycopg.Connection) -> bool:
        """Return whether the sink exists, and so everything that its models read.

        The schemas alone don't tell, because dbt creates them before anything else.
        """
        rows = connection.execute(
            "select sinks.name from rw_catalog.rw_sinks as sinks"
            " inner join rw_catalog.rw_schemas as schemas"
            " on sinks.schema_id = schemas.id"
            " where schemas.name = %s and sinks.name = 'checkouts_topic'",
            [self.models.settings.schema_name],
        ).fetchall()
        return bool(rows)

    def _schemas(self, connection: psycopg.Connection) -> set[str]:
        rows = connection.execute("select name from rw_catalog.rw_schemas").fetchall()
        return {name for (name,) in rows}

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection]:
        try:
            with connect(
                self.models.database_url, target="risingwave", autocommit=True
            ) as connection:
                yield connection
        except psycopg.Error as error:
            raise ServerError(
                f"RisingWave does not do it: {one_line(error)}; expected it at "
                "DATABASE_URL, run by its owner: correct it and deploy again"
            ) from error
