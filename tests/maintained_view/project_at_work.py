"""The small dbt project of these tests, in a schema of its own."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from firstclick.core.database import postgres_environment
from firstclick.core.project import PROJECT
from forked_dbt import run_dbt

TABLES = """
create table sales (
    sale_id integer primary key, shop_id integer, product text,
    amount numeric, sold_at timestamptz
);
create index on sales (shop_id, product);
create table returns (return_id integer primary key, sale_id integer, refund numeric);
create index on returns (sale_id);
create table shops (shop_id integer primary key, region text);
create table shelves (
    aisle integer, place integer, ware text, primary key (aisle, place)
);
"""


@dataclass
class ProjectAtWork:
    """A copy of the project that a test may edit, and its schema."""

    directory: Path
    database_url: str
    schema: str = "maintained"

    def __post_init__(self) -> None:
        source = Path(__file__).parent / "project"
        shutil.copytree(source, self.directory, dirs_exist_ok=True)
        shutil.copytree(PROJECT / "macros", self.directory / "macros")
        shutil.copy(PROJECT / "profiles.yml", self.directory)

    @property
    def database(self) -> str:
        return str(conninfo_to_dict(self.database_url)["dbname"])

    def make_tables(self) -> None:
        """Create the tables that the models read, without rows."""
        with self.connect() as connection:
            connection.execute(f"create schema {self.schema}".encode())
            connection.execute(TABLES)

    def connect(self) -> psycopg.Connection[Any]:
        """Open a session whose search path is the project's schema."""
        return psycopg.connect(
            self.database_url,
            options=f"-c search_path={self.schema}",
        )

    def dbt(
        self, *arguments: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run dbt; the result's `stdout` holds all its output."""
        return run_dbt(
            *arguments,
            directory=self.directory,
            environment={
                **os.environ,
                **postgres_environment(self.database_url),
                "FIRSTCLICK_SCHEMA": self.schema,
                # Saves time: no test reads these files
                "DBT_WRITE_JSON": "false",
                "DBT_LOG_LEVEL_FILE": "none",
                **environment,
            },
        )

    def run(self, *arguments: str) -> dict[str, str]:
        """Run `dbt run`; return what it did, by model. Fails if dbt does.

        For example, ``{"sale_days": "unchanged"}``.
        """
        result = self.dbt("run", *arguments)
        assert result.returncode == 0, result.stdout
        return {
            words[words.index("model") + 1].split(".")[1]: words[words.index("[") + 1]
            for words in (
                line.replace("[", "[ ").split() for line in result.stdout.splitlines()
            )
            if "OK" in words and "model" in words
        }

    def edit(self, model: str, old: str, new: str) -> None:
        """Replace ``old``, which the model's file must contain, with ``new``."""
        path = self.directory / "models" / f"{model}.sql"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def differences(self, connection: psycopg.Connection[Any]) -> dict[str, list[Any]]:
        """Compare each model's table with its SQL; return the rows of only one of them.

        The SQL runs with the settings that models are computed with. The session keeps
        these settings until its transaction ends.
        """
        connection.execute(f"select {self.schema}_maintenance.pin()".encode())
        models = connection.execute(
            f"select relation, sql from {self.schema}_maintenance.models".encode()
        ).fetchall()
        return {
            relation: rows
            for relation, sql in models
            if (
                rows := connection.execute(
                    f"""
                    select 'stored' as side, t.* from (
                        select * from {relation} except all select * from ({sql}) as s
                    ) as t
                    union all
                    select 'computed', t.* from (
                        select * from ({sql}) as s except all select * from {relation}
                    ) as t
                    """.encode()
                ).fetchall()
            )
        }
