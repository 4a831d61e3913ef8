"""Grafana's provisioning files, and its alert rules on shops in various states."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from frames import ask
from psycopg import sql
from test_definitions import MISSING_SOMEWHERE
from twin import Twin

from firstclick.core.pipeline import Pipeline
from firstclick.dashboard.definition import DIRECTORY, Dashboard

DATA_SOURCE = "firstclick"
ROOT = DIRECTORY.parents[1]
PROVISIONING = ROOT / "grafana" / "provisioning"
RUNBOOK = (ROOT / "docs" / "how-to" / "runbook.md").read_text()


def read(name: str) -> Any:
    data = yaml.safe_load((PROVISIONING / name / "firstclick.yaml").read_text())
    assert data.pop("apiVersion") == 1
    return data


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


[GROUP] = read("alerting")["groups"]
RULES = {rule["uid"]: rule for rule in GROUP["rules"]}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def test_it_takes_exactly_the_variables_that_are_documented(shop: Pipeline) -> None:
    found = {
        name
        for path in PROVISIONING.rglob("*.yaml")
        for text in texts(yaml.safe_load(path.read_text()))
        for name in re.findall(r"\$\{?(\w+)", text)
    }
    guide = (ROOT / "docs" / "how-to" / "connect-grafana.md").read_text()
    table = guide.split("| variable |")[1].split("\n\n")[0]
    assert found == set(re.findall(r"`([A-Z_]+)`", table))
    printed = subprocess.run(
        [Path(sys.executable).with_name("firstclick"), "env", "--role", "grafana"],
        env={**os.environ, "FIRSTCLICK_HOME": str(shop.home)},
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    missing = found - set(re.findall(r"^(\w+)=", printed, re.MULTILINE))
    assert missing == {"GF_PATHS_PROVISIONING"}


def test_the_data_source_is_the_one_of_the_panels() -> None:
    [source] = read("datasources")["datasources"]
    assert source["uid"] == DATA_SOURCE
    assert source["type"] == "grafana-postgresql-datasource"
    # With braces, Grafana would also expand a $ inside the password
    assert source["secureJsonData"] == {"password": "$PGPASSWORD"}
    assert source["url"] == "$PGHOST:$PGPORT"
    assert not source["editable"]


def test_the_dashboards_are_found_beside_the_provisioning() -> None:
    [provider] = read("dashboards")["providers"]
    path = provider["options"]["path"].replace(
        "$GF_PATHS_PROVISIONING", str(PROVISIONING)
    )
    assert Path(path).resolve() == DIRECTORY
    assert provider["folder"] == GROUP["folder"]


def anchors(markdown: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings}


@every_rule
def test_a_rule_is_complete(
    rule: dict[str, Any], dashboards: dict[str, Dashboard]
) -> None:
    assert re.fullmatch(r"firstclick-[a-z-]{1,29}", rule["uid"])
    assert set(rule["labels"]) == {"service", "severity"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    document, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert document == "docs/how-to/runbook.md" and anchor in anchors(RUNBOOK)
    assert f"## {rule['title']}\n" in RUNBOOK
    assert rule["noDataState"] in ("OK", "Alerting", "NoData", "KeepLast")
    assert rule["execErrState"] in ("OK", "Alerting", "Error", "KeepLast")
    panels = dashboards[rule["dashboardUid"]].panels
    assert rule["panelId"] in {panel.id for panel in panels}


def test_one_rule_alone_tells_of_a_database_that_is_away() -> None:
    assert [r["execErrState"] for r in RULES.values()].count("Error") == 1
    assert {r["execErrState"] for r in RULES.values()} == {"Error", "KeepLast"}


@every_rule
def test_a_rules_query_is_compared_with_a_number(rule: dict[str, Any]) -> None:
    query, threshold = rule["data"]
    assert [part["refId"] for part in rule["data"]] == ["A", "B"]
    assert [part["model"]["refId"] for part in rule["data"]] == ["A", "B"]
    assert query["datasourceUid"] == query["model"]["datasource"]["uid"] == DATA_SOURCE
    assert query["relativeTimeRange"]["from"] > query["relativeTimeRange"]["to"] == 0
    assert query["model"]["format"] == "table" and query["model"]["rawQuery"]
    assert threshold["datasourceUid"] == "__expr__"
    assert threshold["model"]["expression"] == "A" and rule["condition"] == "B"
    assert threshold["model"]["type"] == "threshold"
    statement = query["model"]["rawSql"]
    # Alert rules have neither the variables nor the macros of a dashboard
    assert "$" not in statement and ";" not in statement
    for what, pattern in MISSING_SOMEWHERE.items():
        assert not re.search(pattern, statement, re.IGNORECASE), what


def values(
    rule: dict[str, Any], connection: psycopg.Connection, schema: str
) -> dict[str, float]:
    """Return a rule's numbers by topic: each row has one number, text is its label."""
    statement = rule["data"][0]["model"]["rawSql"]
    frame = ask(connection, statement.replace("firstclick.", f"{schema}."))
    [number] = frame.of_kind("number")
    labels = frame.of_kind("text")
    assert set(frame.kinds) == {number, *labels} and labels in ([], ["topic"])
    return {row.get("topic", ""): float(row[number]) for row in frame.by_name()}


def firing(rule: dict[str, Any], found: dict[str, float]) -> set[str]:
    [condition] = rule["data"][1]["model"]["conditions"]
    [bound] = condition["evaluator"]["params"]
    above = {"gt": True, "lt": False}[condition["evaluator"]["type"]]
    return {
        topic
        for topic, value in found.items()
        if (value > bound if above else value < bound)
    }


@every_rule
def test_a_shop_at_work_fires_no_alert(
    rule: dict[str, Any], shop: Pipeline, reader: psycopg.Connection
) -> None:
    found = values(rule, reader, shop.schema_name)
    if rule["uid"] == "firstclick-rejections":
        # The shop sends all its events at once, which the rule may take for a burst
        assert set(found) <= {"clicks", "purchases"}
        return
    assert firing(rule, found) == set()


@every_rule
def test_an_empty_shop_fires_what_it_should(
    rule: dict[str, Any], twin: Twin, reader: psycopg.Connection
) -> None:
    found = values(rule, reader, twin.schema)
    if rule["uid"] == "firstclick-no-events":
        assert firing(rule, found) == {"clicks", "purchases"}
    else:
        assert found == {} and rule["noDataState"] == "OK"


def ago(text: str) -> sql.Composable:
    return sql.SQL("now() - {}::interval").format(sql.Literal(text))


def minute_ago(number: int) -> sql.Composable:
    return sql.SQL("date_trunc('minute', now()) - {}::interval").format(
        sql.Literal(f"{number} minutes")
    )


def partition(topic: str, checked: str, behind: int = 0) -> dict[str, Any]:
    return {
        "topic": topic,
        "kafka_partition": 0,
        "next_offset": 100,
        "high_watermark": 100 + behind,
        "newest_kafka_time": ago(checked),
        "checked_at": ago(checked),
    }


def test_data_is_not_fresh_above_thirty_seconds(
    twin: Twin, reader: psycopg.Connection
) -> None:
    twin.insert(
        "kafka_offsets",
        [partition("clicks", "25 s"), partition("purchases", "40 s", 9)],
    )
    rule = RULES["firstclick-not-fresh"]
    assert firing(rule, values(rule, reader, twin.schema)) == {"purchases"}


def messages(
    topic: str, minutes: int, accepted: int, rejected: int
) -> list[dict[str, Any]]:
    return [
        {
            "minute": minute_ago(minutes),
            "topic": topic,
            "reason": reason,
            "messages": number,
        }
        for reason, number in ((None, accepted), ("unknown user", rejected))
        if number
    ]


@pytest.mark.parametrize(
    ("minutes", "accepted", "rejected", "silent"),
    [(3, 1, 0, False), (3, 0, 1, False), (11, 500, 0, True)],
)
def test_no_events_arrive_is_about_ten_minutes_without_any(
    twin: Twin,
    reader: psycopg.Connection,
    minutes: int,
    accepted: int,
    rejected: int,
    silent: bool,
) -> None:
    twin.insert("minute_messages", messages("clicks", minutes, accepted, rejected))
    rule = RULES["firstclick-no-events"]
    assert firing(rule, values(rule, reader, twin.schema)) == {"purchases"} | (
        {"clicks"} if silent else set()
    )


@pytest.mark.parametrize(
    ("minutes", "accepted", "rejected", "fires"),
    [
        (2, 940, 60, True),
        (2, 960, 40, False),
        (2, 20, 20, False),
        (2, 0, 60, True),
        (6, 0, 1000, False),
    ],
)
def test_too_many_rejections_are_a_share_of_enough_messages(
    twin: Twin,
    reader: psycopg.Connection,
    minutes: int,
    accepted: int,
    rejected: int,
    fires: bool,
) -> None:
    twin.insert("minute_messages", messages("purchases", minutes, accepted, rejected))
    rule = RULES["firstclick-rejections"]
    found = values(rule, reader, twin.schema)
    assert firing(rule, found) == ({"purchases"} if fires else set())


def payments(twin: Twin, minutes: int, succeeded: int, failed: int) -> None:
    twin.insert(
        "minute_revenue",
        [
            {
                "minute": minute_ago(minutes),
                "checkouts": succeeded,
                "units": succeeded,
                "revenue": 1,
                "profit": 1,
                "attributed_checkouts": 0,
                "attributed_revenue": 0,
                "attributed_profit": 0,
            }
        ],
    )
    twin.insert(
        "minute_payment_failures",
        [
            {
                "minute": minute_ago(minutes),
                "failure_reason": r,
                "checkouts": failed // 2,
            }
            for r in ("card expired", "insufficient funds")
        ],
    )


@pytest.mark.parametrize(
    ("usual", "latest", "fires"),
    [
        ((9_500, 500), (850, 150), True),
        ((9_500, 500), (920, 80), False),
        # Hardly any failed before: a small increase is no alert
        ((10_000, 0), (990, 10), False),
        ((10_000, 0), (950, 50), True),
        # Too few payments to tell, now or before
        ((9_500, 500), (10, 40), False),
        ((20, 0), (500, 500), False),
    ],
)
def test_payments_fail_more_than_usual_against_the_hours_before(
    twin: Twin,
    reader: psycopg.Connection,
    usual: tuple[int, int],
    latest: tuple[int, int],
    fires: bool,
) -> None:
    payments(twin, 120, *usual)
    payments(twin, 5, *latest)
    payments(twin, 400, 1, 10_000)
    rule = RULES["firstclick-payment-failures"]
    assert firing(rule, values(rule, reader, twin.schema)) == ({""} if fires else set())


def commands(markdown: str) -> list[list[str]]:
    """Return each command in the shell blocks."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```", markdown, re.DOTALL):
        lexer = shlex.shlex(block, posix=True, punctuation_chars="\n")
        lexer.whitespace, lexer.commenters = " \t", "#"
        lexer.whitespace_split = True
        command: list[str] = []
        for token in [*lexer, "\n"]:
            if token.strip("\n"):
                command.append(token)
            elif command:
                found.append(command)
                command = []
    return found


def test_the_runbooks_queries_run(shop: Pipeline) -> None:
    queries = [
        words[3] for words in commands(RUNBOOK) if words[:2] == ["firstclick", "psql"]
    ]
    assert len(queries) >= 6
    with psycopg.connect(shop.database_url, autocommit=True) as owner:
        owner.execute("set search_path to firstclick")
        for query in queries:
            owner.execute(query.encode())


def test_the_runbook_begins_with_a_section_for_each_rule() -> None:
    sections = re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)
    assert sections[: len(RULES)] == [rule["title"] for rule in RULES.values()]
