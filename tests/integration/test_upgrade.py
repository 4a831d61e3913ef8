"""This version opens a home of an older version, with all its events."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from benchmarks.shop_events import messages
from firstclick.core.database import postgres_environment
from firstclick.core.errors import FirstClickError
from firstclick.core.home import Home, Step
from firstclick.core.pipeline import Pipeline
from firstclick.core.project import PROJECT
from firstclick.core.settings import Settings
from firstclick.deploy.embedded import Deployment
from firstclick.operate import stack as stacks
from firstclick.servers.topics import create_topics
from firstclick_generator import generate
from forked_dbt import run_dbt
from harness import Harness

GONE = """
{{ config(materialized='materialized_view', delta='aggregate',
          unique_key=['unit_price'], count='checkouts') }}
select unit_price, count(*) as checkouts
from {{ ref('checkouts') }} group by unit_price
"""
"""A model that this version lacks, on a column that it lacks, too."""

EDITS = [
    ("models/sources/kafka_offsets.sql", "newest_kafka_time timestamptz,", ""),
    (
        "models/staging/base_clicks.sql",
        "    kafka_time,\n    case",
        "    kafka_time,\n    kafka_offset as number,\n    case",
    ),
    (
        "models/attribution/checkouts.sql",
        "        products.commission_rate,\n",
        "        products.commission_rate,\n        products.price,\n",
    ),
    (
        "models/attribution/checkouts.sql",
        "    priced.brand,\n",
        "    priced.price as unit_price,\n",
    ),
    ("models/sinks/checkouts_topic.sql", "    brand,\n", ""),
    ("macros/kafka/kafka_source.sql", "event_key bytea,", "event_key bytea unique,"),
    *(
        (
            f"models/sources/raw_{topic}.sql",
            "{{ config(unique_on=indexed_key('event_key')) }}",
            "",
        )
        for topic in ("clicks", "purchases")
    ),
    (
        "macros/kafka/kafka_source.sql",
        "exclude (kafka_partition with =, kafka_offset with =)"
        " where (event_key is null)",
        "primary key (kafka_partition, kafka_offset)",
    ),
]
"""Edits that make the older version: file, this version's text, the older text."""

EARLIER_NAMES = {
    "base_clicks": "typed_clicks",
    "base_purchases": "typed_purchases",
    "int_purchases_validated": "checked_purchases",
    "lock_writers": "serialise",
    "try_singleton_lock": "alone",
}
"""Relations and functions of this version, and their names in the older one."""

PROGRESS = """{% macro kafka_progress() %}
select topic, null::timestamptz as newest_kafka_time, 0::bigint as lag_messages,
    0::numeric as freshness_seconds, 0::bigint as lost_messages
from {{ ref('kafka_offsets') }}
group by topic
{% endmacro %}
"""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """Make a plausible older project, with other columns and one more model."""
    for part in ("models", "macros", "seeds"):
        shutil.copytree(PROJECT / part, tmp_path / part)
    for part in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT / part, tmp_path / part)
    for name, now, then in EDITS:
        file = tmp_path / name
        text = file.read_text()
        assert now in text, name
        file.write_text(text.replace(now, then))
    # What drops the earlier names is not of a version that has them
    (tmp_path / "macros/operations/drop_renamed_functions.sql").write_text(
        "{% macro drop_renamed_functions(results) %}{% endmacro %}"
    )
    for file in [tmp_path / "dbt_project.yml", *tmp_path.glob("m*/**/*.*")]:
        text = file.read_text()
        for now, then in EARLIER_NAMES.items():
            text = text.replace(now, then)
        file.write_text(text)
        file.rename(file.with_stem(EARLIER_NAMES.get(file.stem, file.stem)))
    (tmp_path / "macros/operations/kafka_progress.sql").write_text(PROGRESS)
    (tmp_path / "models/attribution/unit_prices.sql").write_text(GONE)
    return tmp_path


def fill(stack: Pipeline) -> int:
    """Insert an hour of the shop into the raw tables; return how many messages."""
    found = {}
    for number, message in enumerate(islice(messages(time.time() - 3600, 1, 9), 3000)):
        found[message.topic, message.key] = (number, message.payload)
    with psycopg.connect(stack.database_url) as connection:
        for topic in ("clicks", "purchases"):
            rows = [
                (key, payload, number)
                for (of, key), (number, payload) in found.items()
                if of == topic
            ]
            connection.execute(
                f"insert into older.raw_{topic}"  # type: ignore[arg-type]
                " select key, payload, 1000, number, now()"
                " from unnest(%s::bytea[], %s::bytea[], %s::bigint[])"
                " as new (key, payload, number)",
                [list(column) for column in zip(*rows, strict=True)],
            )
    return len(found)


VERSION: LiteralString = """
select
    to_regclass('base_clicks') is not null and to_regclass('typed_clicks') is null,
    (select to_jsonb(row) ? 'brand' from checkouts as row limit 1),
    (select to_jsonb(row) ? 'brand' from checkouts_topic as row limit 1),
    exists (
        select from pg_attribute where attrelid = 'kafka_offsets'::regclass
        and attname = 'newest_kafka_time'
    ),
    not exists (
        select from pg_class where relname = 'unit_prices'
        and relnamespace = current_schema::regnamespace
    ),
    (select count(*) from checkouts) = (select count(*) from checkouts_topic)
        and (select count(*) from pipeline_health) = 2
"""
"""A query that tells for several relations whether they are of this version."""


@contextmanager
def reading(stack: Pipeline) -> Iterator[set[tuple[object, ...]]]:
    """Run ``VERSION`` over and over while the block runs; yield the set of answers."""
    seen: set[tuple[object, ...]] = set()
    done = threading.Event()

    def read() -> None:
        with older_database(stack) as connection:
            while not done.is_set():
                seen.add(connection.execute(VERSION).fetchone() or ())

    with ThreadPoolExecutor() as pool:
        reader = pool.submit(read)
        try:
            yield seen
        finally:
            done.set()
        reader.result()


def older_database(stack: Pipeline) -> psycopg.Connection[Any]:
    return psycopg.connect(
        stack.database_url, autocommit=True, options="-c search_path=older"
    )


def made(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Return all columns and triggers, and the catalogue of models."""
    return connection.execute(
        """
        select pg_class.oid, relname, attname::text, atttypid::text from pg_class
        inner join pg_attribute on attrelid = pg_class.oid
        where relnamespace = 'older'::regnamespace
        union all
        select pg_trigger.oid, tgname, pg_get_triggerdef(pg_trigger.oid),
            -- Every run prepares the guard, before it deploys
            case when proname <> 'guard' then prosrc end
        from pg_trigger
        inner join pg_class on pg_class.oid = tgrelid
        inner join pg_proc on pg_proc.oid = tgfoid
        where relnamespace = 'older'::regnamespace
        union all
        select 0, relation, sql, rows_hash || triggers_hash
        from older_maintenance.models
        order by 1, 2, 3
        """
    ).fetchall()


def differences(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Return how many rows differ from the model's SQL, for tables that differ."""
    models = connection.execute(
        "select relation, sql from older_maintenance.models where kind <> 'view'"
    ).fetchall()
    counts = {}
    for relation, sql in models:
        ((counts[relation],),) = connection.execute(
            f"""
            select count(*) from (
                (select * from {relation} except all select * from ({sql}) as computed)
                union all
                (select * from ({sql}) as computed except all select * from {relation})
            ) as differing
            """.encode()
        ).fetchall()
    return {relation: count for relation, count in counts.items() if count}


def test_a_home_of_an_older_version_opens_while_events_flow(
    servers: Pipeline, make_home: Callable[[], Path], older: Path
) -> None:
    home = Home.open(make_home())
    settings = Settings.load().model_copy(
        update={
            "home": home.path,
            "database_url": servers.database_url,
            "kafka_bootstrap_servers": servers.bootstrap_servers,
            "schema_name": "older",
            "topic_prefix": "older.",
            "expire": False,
        }
    )
    create_topics(servers.kafka, "older.", 2, None)
    built = run_dbt(
        *("build", "--target", "embedded"),
        *("--exclude-resource-type", "test", "unit_test"),
        directory=older,
        environment={
            **os.environ,
            **postgres_environment(servers.database_url),
            "FIRSTCLICK_SCHEMA": "older",
            "FIRSTCLICK_TOPIC_PREFIX": "older.",
            "DBT_PROFILES_DIR": str(older),
        },
    )
    assert built.returncode == 0, built.stdout
    home.write(Deployment("older", "", {}), "deployment.json")
    kept = fill(servers)

    with older_database(servers) as connection:
        # A user's view that can't be created again, which fails at the very end
        connection.execute("create view mine as select unit_price from checkouts")
        before = made(connection)
        with (
            reading(servers) as seen,
            pytest.raises(
                FirstClickError,
                match=r'create view older\.mine: column "unit_price" does not exist'
                r"; nothing was changed, see .*dbt\.log$",
            ),
        ):
            stacks.start(settings, detach=False)
        assert seen == {(False, False, False, False, False, True)}
        assert made(connection) == before
        kept -= connection.execute(
            "delete from raw_purchases where kafka_offset % 7 = 0"
        ).rowcount
        assert differences(connection) == {}
        connection.execute("drop view mine")

    steps: list[Step] = []
    stop = threading.Event()
    with ThreadPoolExecutor() as pool, reading(servers) as seen:
        flowing = pool.submit(
            generate,
            servers.bootstrap_servers,
            topic_prefix="older.",
            rate=50,
            duration=None,
            anomaly_rate=0,
            stop=stop,
        )
        try:
            stack = stacks.start(settings, detach=False, on_step=steps.append).pipeline
        finally:
            stop.set()
        sent = flowing.result()
    assert seen == {
        (False, False, False, False, False, True),
        (True, True, True, True, True, True),
    }
    pipeline = Harness(stack)
    pipeline.settle()
    assert pipeline.query(
        "select (select count(*) from raw_clicks)"
        " + (select count(*) from raw_purchases)"
    ) == [(kept + sent.clicks + sent.purchases,)]
    assert pipeline.sql_differences() == {}
    indexes = pipeline.query(
        "select tablename, indexdef from pg_indexes"
        " where schemaname = current_schema()"
        " and tablename in ('raw_clicks', 'raw_purchases')"
    )
    assert sorted(
        (table, " UNIQUE " in index, "octet_length" in index)
        for table, index in indexes
    ) == [
        (f"raw_{topic}", is_of_keys, is_of_keys)
        for topic in ("clicks", "purchases")
        for is_of_keys in (False, True)
    ]
    # Dropped with its triggers, which would otherwise fail for every message
    assert pipeline.query("select to_regclass('unit_prices')") == [(None,)]
    assert pipeline.query("select count(*) > 0 from checkouts where brand is null") == [
        (False,)
    ]
    assert (
        pipeline.query(
            "select proname from pg_proc"
            " where pronamespace = 'older_maintenance'::regnamespace"
            " and proname ~ '(typed_|checked_purchases|^serialise$|^alone$)'"
            " union all select relname from pg_class"
            " where relnamespace = current_schema::regnamespace"
            " and relname ~ '^(typed_|checked_purchases)'"
        )
        == []
    )
    done = {step.text for step in steps}
    assert {"Model base_clicks created", "Model checkouts rebuilt"} <= done
    pipeline.close()
