"""The window and the retention are fixed numbers of seconds."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from firstclick.core.database import postgres_environment
from firstclick.core.durations import hours_of_messages, seconds_of
from firstclick.core.errors import SettingsError
from firstclick.core.pipeline import Pipeline
from firstclick.core.project import PROJECT
from forked_dbt import run_dbt

DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)

SPRING = datetime(2026, 3, 9, 0, tzinfo=UTC)
"""The day after Los Angeles lost an hour; ``AUTUMN`` is the day after it gained one."""
AUTUMN = datetime(2025, 11, 3, 0, tzinfo=UTC)


def build(servers: Pipeline, variables: str, *arguments: str) -> Any:
    return run_dbt(
        *arguments,
        *("--target", "embedded", "--vars", variables),
        directory=PROJECT,
        environment={
            **os.environ,
            **postgres_environment(servers.database_url),
            "FIRSTCLICK_SCHEMA": "windows",
            "DBT_TARGET_PATH": str(servers.home / "windows"),
            "DBT_LOG_PATH": str(servers.home / "windows"),
        },
    )


@pytest.fixture(scope="module")
def abroad(servers: Pipeline) -> Iterator[psycopg.Connection[Any]]:
    """Deploy with a window of 30 days and a retention of 90; connect in Los Angeles."""
    variables = "{attribution_window: 30 days, retention: 90 days}"
    built = build(
        servers,
        variables,
        *("build", "--exclude-resource-type", "test", "unit_test"),
    )
    assert built.returncode == 0, built.stdout
    options = "-c search_path=windows -c timezone=America/Los_Angeles"
    with psycopg.connect(
        servers.database_url, autocommit=True, options=options
    ) as connection:
        yield connection
        connection.execute("drop schema windows, windows_maintenance cascade")


def time_text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def send(
    connection: psycopg.Connection[Any], topic: str, key: str, event: dict[str, Any]
) -> None:
    connection.execute(
        f"insert into raw_{topic} select %s, %s, 0,"  # type: ignore[arg-type]
        f" (select count(*) from raw_{topic}), now()",
        [key.encode(), msgspec.json.encode(event)],
    )


def click(connection: psycopg.Connection[Any], key: str, at: datetime) -> None:
    event = {"click_id": key, "user_id": "1", "click_time": time_text(at)}
    event |= {"click_at": "Homepage", "source": "Google", "ip": "::1"}
    send(connection, "clicks", key, event)


def purchase(connection: psycopg.Connection[Any], key: str, at: datetime) -> None:
    event = {"purchase_id": key, "user_id": "1", "product_id": "1", "quantity": 1}
    event |= {"discount": 0, "shipping_cost": 0, "total_cost": 1}
    event |= {"payment_method": "Visa", "payment_status": "success"}
    event |= {"description": "none", "purchase_time": time_text(at)}
    send(connection, "purchases", key, event)


@pytest.mark.parametrize("when", [SPRING, AUTUMN])
def test_a_window_of_days_is_as_long_in_any_time_zone(
    abroad: psycopg.Connection[Any], when: datetime
) -> None:
    with abroad.transaction(force_rollback=True):
        abroad.execute("delete from users; delete from products")
        abroad.execute("insert into users (user_id) values ('1')")
        abroad.execute(
            "insert into products (product_id, price, commission_rate)"
            " values ('1', 1, 0)"
        )
        purchase(abroad, "p", when)
        for key, ago in {
            "too old": 30 * DAY + timedelta(milliseconds=1),
            "latest": DAY,
            "oldest": 30 * DAY,
        }.items():
            click(abroad, key, when - ago)
        # The same for a purchase that arrives after the clicks
        purchase(abroad, "q", when)
        assert abroad.execute(
            "select purchase_id, click_id from checkouts order by 1"
        ).fetchall() == [("p", "oldest"), ("q", "oldest")]


def test_what_a_window_of_30_days_and_a_retention_of_90_keep(
    abroad: psycopg.Connection[Any],
) -> None:
    with abroad.transaction(force_rollback=True):
        for days in (89, 91, 119, 121):
            click(abroad, f"click {days}", NOW - days * DAY)
            purchase(abroad, f"purchase {days}", NOW - days * DAY)
        assert abroad.execute(
            "select topic, event_id from expired_events order by 1, 2"
        ).fetchall() == [
            ("clicks", "click 121"),
            ("purchases", "purchase 119"),
            ("purchases", "purchase 121"),
            ("purchases", "purchase 91"),
        ]


WRONG = ["1 month", "0 minutes", "90", "1.5 hours", "9999999 days", "1 day 1 hour"]


@pytest.mark.parametrize("variable", ["attribution_window", "retention"])
def test_other_units_are_refused_by_name(servers: Pipeline, variable: str) -> None:
    for text in WRONG[:2]:
        built = build(servers, f"{{{variable}: {text}}}", "parse")
        assert built.returncode != 0
        said = " ".join(built.stdout.split())
        assert f"the variable {variable} is '{text}', expected a whole number" in said


def test_python_reads_the_variables_as_the_models_do(tmp_path: Path) -> None:
    def put(text: str) -> None:
        file = tmp_path / "dbt_project.yml"
        file.write_text(f"vars: {{attribution_window: {text}, retention: 90 days}}")
        seconds_of.cache_clear()

    for text, seconds in {
        "1 second": 1,
        "10 minutes": 600,
        "36 hours": 129_600,
        "30 days": 2_592_000,
    }.items():
        put(text)
        assert seconds_of("attribution_window", tmp_path) == seconds
    assert hours_of_messages(tmp_path) == 120 * 24 + 1
    for text in WRONG:
        put(text)
        with pytest.raises(SettingsError, match="the variable attribution_window in"):
            seconds_of("attribution_window", tmp_path)
    seconds_of.cache_clear()
