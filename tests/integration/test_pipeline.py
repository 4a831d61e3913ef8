"""The whole pipeline from events to relations, on real Kafka and PostgreSQL."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from events import Send, click, deletion, purchase, time_text
from firstclick.core.pipeline import Pipeline
from firstclick.core.project import PROJECT
from firstclick_generator import generate
from harness import Harness


@pytest.fixture(scope="module")
def pipeline(stack: Pipeline) -> Iterator[Harness]:
    """Return the session's stack, with an hour of a small shop."""
    generate(
        stack.bootstrap_servers,
        rate=1,
        duration=1,
        anomaly_rate=0.05,
        backfill_hours=1,
        seed=4,
    )
    pipeline = Harness(stack)
    yield pipeline
    pipeline.close()


def someones_click(click_id: str, **fields: Any) -> Send:
    return click(click_id, "someone", datetime.now(UTC), **fields)


def known_purchase(purchase_id: str, pipeline: Harness, **fields: Any) -> Send:
    """Return a purchase of a product by a user who are in the reference data."""
    [(user_id, product_id)] = pipeline.query(
        "select min(user_id), (select min(product_id) from products) from users"
    )
    return purchase(purchase_id, user_id, product_id, datetime.now(UTC), **fields)


def test_an_hour_of_the_shop_is_what_plain_sql_makes_of_the_raw_tables(
    pipeline: Harness,
) -> None:
    pipeline.settle()
    assert pipeline.sql_differences() == {}
    [(checkouts, attributed)] = pipeline.query(
        "select count(*), count(click_id) from checkouts"
    )
    assert checkouts > 400
    assert 0.5 < attributed / checkouts < 0.9


def test_the_last_messages_of_the_topic_are_the_checkouts(pipeline: Harness) -> None:
    pipeline.settle()
    expected = {}
    for row in pipeline.checkouts():
        for name, value in row.items():
            if isinstance(value, Decimal):
                row[name] = str(value)
            elif isinstance(value, datetime):
                row[name] = time_text(value)
        expected[row["purchase_id"]] = row
    found = {
        key: msgspec.json.decode(value) for key, value in pipeline.published().items()
    }
    assert found == expected


def test_a_click_that_comes_after_its_purchase_is_attributed_all_the_same(
    pipeline: Harness,
) -> None:
    pipeline.publish([known_purchase("late-1", pipeline)])
    pipeline.settle()
    [(user_id, purchase_time)] = pipeline.query(
        "select user_id, purchase_time from checkouts where purchase_id = 'late-1'"
    )
    late = click("late-1", user_id, purchase_time - timedelta(minutes=10))
    pipeline.publish([late])
    pipeline.settle()
    found = "select click_id from checkouts where purchase_id = 'late-1'"
    assert pipeline.query(found) == [("late-1",)]
    pipeline.publish([deletion(late)])
    pipeline.settle()
    assert pipeline.query(found) != [("late-1",)]
    assert pipeline.sql_differences() == {}


GOOD = someones_click("bad").value or b""

REJECTED: dict[str, tuple[bytes, bytes, str]] = {
    "not JSON": (b"bad", b"click!", "not a JSON object"),
    "invalid UTF-8": (b"bad", b'{"a": "\xff"}', "not a JSON object"),
    "empty": (b"bad", b"", "not a JSON object"),
    "an array": (b"bad", b"[1]", "not a JSON object"),
    "a string": (b"bad", b'"click"', "not a JSON object"),
    "null": (b"bad", b"null", "not a JSON object"),
    "a NUL": (b"bad", GOOD.replace(b"Google", b"\\u0000"), "not a JSON object"),
    "a raw NUL": (b"bad", b"\0", "not a JSON object"),
    "a surrogate": (b"bad", GOOD.replace(b"Google", b"\\ud800"), "not a JSON object"),
    "NaN": (b"bad", GOOD.replace(b'"Google"', b"NaN"), "not a JSON object"),
    "10,000 deep": (b"bad", b"[" * 10_000 + b"]" * 10_000, "not a JSON object"),
    "a million deep": (b"bad", b"[" * 1_000_000, "not a JSON object"),
    "1 MB": (b"bad", b"x" * 1_000_000, "not a JSON object"),
    "a large number": (
        b"bad",
        GOOD.replace(b'"Google"', b"1e400"),
        "source is not a text",
    ),
    "missing": (b"bad", GOOD.replace(b'"ip"', b'"pi"'), "ip is missing"),
    "another key": (b"other", GOOD, "key differs from click_id"),
    "an empty key": (b"", GOOD, "key differs from click_id"),
    "a key out of UTF-8": (b"\xff", GOOD, "key differs from click_id"),
    "the future": (
        b"bad",
        click("bad", "someone", datetime.now(UTC) + timedelta(days=1)).value or b"",
        "click_time is in the future",
    ),
}


@pytest.mark.parametrize("kind", REJECTED)
def test_what_is_no_click_is_a_row_with_its_reason_and_can_be_put_right(
    pipeline: Harness, kind: str
) -> None:
    key, payload, reason = REJECTED[kind]
    pipeline.send("clicks", key, payload)
    pipeline.settle()
    [(found, stored_key, text)] = pipeline.query(
        "select reason, rejected_events.event_key, rejected_events.payload"
        " from rejected_events"
        " inner join raw_clicks using (kafka_partition, kafka_offset)"
        " where topic = 'clicks' and raw_clicks.event_key = %b",
        key,
    )
    assert found == reason
    for stored, sent in [(stored_key, key), (text, payload)]:
        try:
            assert stored == sent.decode() and "\0" not in stored
        except (UnicodeDecodeError, AssertionError):
            assert stored == sent.hex()
    pipeline.send("clicks", key, None)
    pipeline.settle()
    assert not pipeline.query("select from raw_clicks where event_key = %b", key)
    assert not pipeline.query(
        "select from rejected_events where event_key = %s", stored_key
    )


def test_texts_of_a_megabyte_are_texts(pipeline: Harness) -> None:
    long = {name: name + "é" * 400_000 for name in ("user_id", "source", "click_at")}
    pipeline.publish(
        someones_click(f"long-{number}", **{name: value})
        for number, (name, value) in enumerate(long.items())
    )
    pipeline.publish(
        [
            known_purchase(
                *("long", pipeline),
                payment_status="failure",
                description="ü" * 400_000,
            ),
            known_purchase("unknown", pipeline, product_id="ß" * 400_000),
        ]
    )
    pipeline.settle()
    assert pipeline.query(
        "select click_id from stg_clicks where click_id like 'long-%%' order by 1"
    ) == [("long-0",), ("long-1",), ("long-2",)]
    assert pipeline.query(
        "select length(failure_reason) from last_hour_payment_failures"
        " where failure_reason like 'üü%%'"
    ) == [(400_000,)]
    assert pipeline.query(
        "select reason from rejected_events where event_key = 'unknown'"
    ) == [("unknown product",)]
    assert pipeline.sql_differences() == {}


def test_reference_data_may_change_at_any_time(pipeline: Harness) -> None:
    pipeline.publish([known_purchase("stranger", pipeline, user_id="stranger")])
    pipeline.settle()
    rejected = "select reason from rejected_events where event_key = 'stranger'"
    assert pipeline.query(rejected) == [("unknown user",)]
    pipeline.database.execute("insert into users (user_id) values ('stranger')")
    assert pipeline.query(rejected) == []
    [(before,)] = pipeline.query(
        "select total_cost from checkouts where purchase_id = 'stranger'"
    )
    pipeline.database.execute("update products set price = price * 2")
    [(after,)] = pipeline.query(
        "select total_cost from checkouts where purchase_id = 'stranger'"
    )
    assert after - Decimal("7.5") == 2 * (before - Decimal("7.5"))
    assert pipeline.sql_differences() == {}
    pipeline.database.execute("delete from users where user_id = 'stranger'")
    assert pipeline.query(rejected) == [("unknown user",)]
    assert pipeline.sql_differences() == {}
    # The seed file still has the old prices
    result = pipeline.dbt("seed")
    assert result.returncode == 0, result.stdout
    assert pipeline.sql_differences() == {}


def test_a_seed_again_changes_what_changed_in_the_file(
    pipeline: Harness, tmp_path: Path
) -> None:
    for part in ("models", "macros", "seeds", "tests/dbt"):
        shutil.copytree(PROJECT / part, tmp_path / part)
    for part in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT / part, tmp_path)
    file = tmp_path / "seeds" / "products.csv"
    header, first, *lines = file.read_text().splitlines()
    fields = first.split(",")
    fields[-2] = "1000000"
    file.write_text("\n".join([header, ",".join(fields), *lines]) + "\n")
    rows_before = pipeline.query("select xmin, product_id from products order by 2")
    result = pipeline.dbt("seed", project=tmp_path)
    assert result.returncode == 0, result.stdout
    rows_after = pipeline.query("select xmin, product_id from products order by 2")
    assert len(set(rows_after) - set(rows_before)) == 1
    assert pipeline.sql_differences() == {}
    assert pipeline.dbt("seed").returncode == 0
    assert pipeline.sql_differences() == {}


def test_dbt_works_on_a_pipeline_in_full_flow(pipeline: Harness) -> None:
    """Meanwhile, every relation stays readable and no event is lost."""
    stop = threading.Event()

    def read() -> int:
        relations = [
            f"{schema}.{name}"
            for schema, name in pipeline.query(
                "select table_schema, table_name from information_schema.tables"
                " where table_schema = 'firstclick' and table_name not like 'raw%%'"
            )
        ]
        reads = 0
        with psycopg.connect(
            pipeline.stack.database_url, autocommit=True
        ) as connection:
            while not stop.wait(0.05):
                for relation in relations:
                    connection.execute(f"select from {relation} limit 1".encode())
                    reads += 1
        return reads

    with ThreadPoolExecutor() as pool, pipeline.flowing(rate=20, anomaly_rate=0.02):
        reads = pool.submit(read)
        try:
            for command in (
                ["build"],
                ["run", "--select", "checkouts+"],
                ["run", "--full-refresh"],
                ["seed", "--full-refresh"],
                ["docs", "generate"],
            ):
                result = pipeline.dbt(*command)
                assert result.returncode == 0, result.stdout
        finally:
            stop.set()
        assert reads.result() > 0
    pipeline.settle()
    assert pipeline.sql_differences() == {}


def test_all_that_is_derived_can_be_made_again_while_events_flow(
    pipeline: Harness,
) -> None:
    maintained = (
        "select relation, to_regclass(relation)::oid from firstclick_maintenance.models"
    )
    before = dict(pipeline.query(maintained))
    with pipeline.flowing(rate=20, anomaly_rate=0.02):
        result = pipeline.dbt(
            *("build", "--vars", "rebuild: true"),
            *("--exclude-resource-type", "test", "unit_test"),
        )
        assert result.returncode == 0, result.stdout
    after = dict(pipeline.query(maintained))
    assert after.keys() == before.keys()
    assert [name for name, oid in after.items() if oid == before[name]] == []
    pipeline.settle()
    assert pipeline.sql_differences() == {}
