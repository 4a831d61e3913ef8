"""An empty copy of a schema's relations, for tests to fill."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from firstclick.core.pipeline import Pipeline
from firstclick.workers.connector.source import Source

PATIENCE = 40.0


class Twin:
    """Another schema with the same tables, and the same views over them.

    The views' definitions differ from the pipeline's only in the schema's name. The
    role grafana may read everything.
    """

    def __init__(self, database_url: str, original: str, schema: str) -> None:
        self.schema = schema
        self.database = psycopg.connect(database_url, autocommit=True)
        self._tables: list[sql.Identifier] = []
        name = sql.Identifier(schema)
        self.database.execute(sql.SQL("create schema {}").format(name))
        # With this path, pg_get_viewdef names the schema of every relation
        self.database.execute("set search_path to ''")
        relations = self.database.execute(
            "select relname, relkind, pg_get_viewdef(oid) from pg_class"
            " where relnamespace = %s::regnamespace and relkind in ('r', 'v')"
            " order by relkind, oid",
            [original],
        ).fetchall()
        views: dict[str, str] = {}
        for relation, kind, definition in relations:
            if kind == "v":
                views[relation] = definition.replace(f"{original}.", f"{schema}.")
                continue
            at = sql.Identifier(schema, relation)
            self._tables.append(at)
            self.database.execute(
                sql.SQL("create table {} (like {})").format(
                    at, sql.Identifier(original, relation)
                )
            )
        while views:
            self._create_first(views)
        for statement in (
            "grant usage on schema {} to grafana",
            "grant select on all tables in schema {} to grafana",
        ):
            self.database.execute(sql.SQL(statement).format(name))

    def empty(self) -> None:
        self.database.execute(
            sql.SQL("truncate {}").format(sql.SQL(", ").join(self._tables))
        )

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; a value that is a Composable is SQL."""
        for row in rows:
            values = [
                value if isinstance(value, sql.Composable) else sql.Literal(value)
                for value in row.values()
            ]
            self.database.execute(
                sql.SQL("insert into {} ({}) values ({})").format(
                    sql.Identifier(self.schema, table),
                    sql.SQL(", ").join(map(sql.Identifier, row)),
                    sql.SQL(", ").join(values),
                )
            )

    def _create_first(self, views: dict[str, str]) -> None:
        missing: psycopg.Error | None = None
        for view, definition in views.items():
            create = f"create view {self.schema}.{view} as {definition}"
            try:
                self.database.execute(create.encode())
            except psycopg.errors.UndefinedTable as error:
                missing = error
                continue
            del views[view]
            return
        assert missing is not None
        raise missing


def settled(stack: Pipeline, source: Source) -> None:
    """Wait until the tables hold every message that Kafka holds now."""
    marks = source.high_watermarks(source.partitions())
    ends = sum(sum(topic.values()) for topic in marks.values())
    deadline = time.monotonic() + PATIENCE
    with psycopg.connect(stack.database_url, autocommit=True) as database:
        while True:
            row = database.execute(
                sql.SQL("select sum(next_offset) from {}").format(
                    sql.Identifier(stack.schema_name, "kafka_offsets")
                )
            ).fetchone()
            if row is not None and row[0] is not None and row[0] >= ends:
                return
            assert time.monotonic() < deadline, f"{row} of {ends} messages applied"
            time.sleep(0.05)
