"""Expired events, and nothing else, disappear from the tables and from Kafka."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings
from firstclick.core.waiting import stoppable
from firstclick.operate import stack as stacks
from firstclick.workers.expire import Pace, expire_once, expirer
from firstclick_generator import generate
from harness import Harness

INSIGHTS = ("sources", "revenue", "categories", "payment_failures", "genders")
MARGIN = timedelta(minutes=10)
"""The longest time that the test may take, in which more events expire."""


@pytest.fixture(scope="module")
def pipeline(servers: Pipeline, make_home: Callable[[], Path]) -> Iterator[Harness]:
    """Run a separate pipeline, with 50 hours of a very small shop."""
    settings = Settings.load().model_copy(
        update={
            "home": make_home(),
            "database_url": servers.database_url,
            "kafka_bootstrap_servers": servers.bootstrap_servers,
            "schema_name": "expiring",
            "topic_prefix": "expiring.",
            "expire": False,
        }
    )
    stack = stacks.start(settings, detach=False).pipeline
    generate(
        stack.bootstrap_servers,
        topic_prefix=stack.topic_prefix,
        rate=0.2,
        duration=0,
        anomaly_rate=0.05,
        backfill_hours=50,
    )
    pipeline = Harness(stack)
    pipeline.settle()
    yield pipeline
    pipeline.close()


def insights(pipeline: Harness, since: datetime) -> dict[str, list[tuple[Any, ...]]]:
    return {
        insight: pipeline.query(
            f"select * from minute_{insight} where minute >= %s order by 1, 2",  # type: ignore[arg-type]
            since,
        )
        for insight in INSIGHTS
    }


def test_expired_events_go_and_the_insights_of_48_hours_stay(
    pipeline: Harness,
) -> None:
    ((kept_since,),) = pipeline.query("select now() - interval '48 hours'")
    before = insights(pipeline, kept_since + MARGIN)
    # Purchases of unknown users or products expire by their own times
    rejections = (
        "select * from rejections where reason not like 'unknown %' order by 1, 3, 4"
    )
    rejected = pipeline.query(rejections)
    ((clicks,),) = pipeline.query(
        "select count(*) from stg_clicks where click_time < %s",
        kept_since - timedelta(minutes=10) - MARGIN,
    )
    ((purchases,),) = pipeline.query(
        "select count(*) from stg_purchases where purchase_time < %s",
        kept_since - MARGIN,
    )
    assert clicks > 100 and purchases > 20

    announced = expire_once(pipeline.stack, dry_run=True)
    expired = expire_once(pipeline.stack)
    assert announced.clicks >= clicks and announced.purchases >= purchases
    assert expired.clicks >= announced.clicks
    assert expired.purchases >= announced.purchases
    pipeline.settle()

    assert insights(pipeline, kept_since + MARGIN) == before
    assert pipeline.query(rejections) == rejected
    for relation, time, since in (
        ("stg_clicks", "click_time", kept_since - timedelta(minutes=11)),
        ("stg_purchases", "purchase_time", kept_since - timedelta(minutes=1)),
        ("checkouts", "purchase_time", kept_since - timedelta(minutes=1)),
        ("minute_revenue", "minute", kept_since - timedelta(minutes=1)),
    ):
        statement = f"select count(*) from {relation} where {time} < %s"
        assert pipeline.query(statement, since) == [(0,)], relation  # type: ignore[arg-type]
    assert pipeline.sql_differences() == {}
    assert pipeline.published().keys() == {
        checkout["purchase_id"] for checkout in pipeline.checkouts()
    }


def test_another_pass_finds_nothing_more(pipeline: Harness) -> None:
    left = expire_once(pipeline.stack)
    # Some minutes may have passed: at 0.2 events a second, each has a dozen events
    assert left.clicks + left.purchases < 60


def test_a_message_without_a_key_goes_when_kafka_has_forgotten_it(
    pipeline: Harness,
) -> None:
    pipeline.database.execute(
        "insert into raw_clicks (event_key, payload, kafka_partition, kafka_offset,"
        " kafka_time) values"
        " (null, 'old', 1000, 1, now() - interval '51 hours'),"
        " (null, 'new', 1000, 2, now() - interval '49 hours')"
    )
    expire_once(pipeline.stack)
    assert pipeline.query(
        "select kafka_offset from rejections where kafka_partition = 1000"
    ) == [(2,)]
    pipeline.database.execute("delete from raw_clicks where kafka_partition = 1000")


def test_what_is_on_its_way_is_not_deleted_again_and_again(pipeline: Harness) -> None:
    old = datetime.now(UTC) - timedelta(days=3)
    payload = {
        **dict.fromkeys(("click_id", "user_id", "click_at", "source", "ip"), "old"),
        "click_time": old.isoformat(timespec="milliseconds")[:-6] + "Z",
    }
    pace = Pace(every=1_000)
    pace.begin()
    with (
        stoppable() as stop,
        expirer(pipeline.stack, stop) as session,
    ):
        pace.marks["clicks"].append("old")
        assert not pace.waits(session.are_left(pace.marks))
        # As if the connector had not yet applied the tombstone
        pipeline.database.execute(
            "insert into raw_clicks (event_key, payload, kafka_partition, kafka_offset,"
            " kafka_time) values ('old', %s, 1000, 1, now())",
            [json.dumps(payload).encode()],
        )
        assert pace.waits(session.are_left(pace.marks))
        pipeline.database.execute("delete from raw_clicks where kafka_partition = 1000")
        assert not pace.waits(session.are_left(pace.marks))
