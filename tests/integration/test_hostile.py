"""Hostile input stays data all the way, and is displayed as plain text."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime

import pytest
from confluent_kafka import Producer
from rich.console import Console

from events import Send, click, purchase
from firstclick.core.errors import SettingsError
from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings
from firstclick.demo.answers import ask
from firstclick.demo.display import group
from firstclick.demo.view import summary
from harness import Harness

pytestmark = pytest.mark.timeout(300)

TEXTS = [
    *("'; drop schema firstclick cascade; --", '"; select pg_sleep(60); --', "$$;$1"),
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:x"),
    *("{{ 7 * 7 }}", "{% raw %}", "${7*7}", "#{7*7}", "${jndi:ldap://127.0.0.1/x}"),
    *("%s%n%x", "{0.__class__}", "%(password)s", "\\1\\g<0>", "`id`", "$(id)"),
    *("\x1b[2J\x1b[31mred", "\x1b]0;title\x07", "\x9b2J", "\r\n\b\x7f", "[bold]x[/]"),
    *("\u202etxt.exe", "\u2066left\u2069", "\u2028", "\ufeff", "a\u0300\u0301" * 50),
    *("../../etc/passwd", "con", "=cmd|'/c calc'!A1", "\\copy x to program 'id'"),
]

DEEP = b"[" * 10_000 + b"]" * 10_000

BOMB = 110
"""The number of messages of a megabyte each in a batch of a few kilobytes. By default,
librdkafka refuses to decompress that much."""


@pytest.fixture(scope="module")
def pipeline(stack: Pipeline) -> Iterator[Harness]:
    """Return the session's stack, with all hostile events sent."""
    pipeline = Harness(stack)
    users = pipeline.query(
        "insert into users (user_id, gender) select text, text"
        " from unnest(%s::text[]) as text returning user_id",
        TEXTS,
    )
    pipeline.query(
        "insert into products (product_id, product_name, category, brand, price,"
        " commission_rate) select text, text, text, text, 1, 0.1"
        " from unnest(%s::text[]) as text returning product_id",
        TEXTS,
    )
    assert len(users) == len(TEXTS)
    ((now,),) = pipeline.query("select now()")
    for message in events(now):
        pipeline.send(message.topic, message.key, message.value)
    pipeline.settle()
    yield pipeline
    for message in events(now):
        pipeline.send(message.topic, message.key, None)
    pipeline.settle()
    for table in ("users", "products"):
        key = table.removesuffix("s")
        pipeline.database.execute(
            f"delete from {table} where {key}_id = any(%s)".encode(), [TEXTS]
        )
    pipeline.close()


def events(now: datetime) -> Iterator[Send]:
    for text in TEXTS:
        yield click(text, text, now, source=text, click_at=text, ip=text)
        yield purchase(text, text, text, now, payment_method=text)
        yield purchase(
            f"failed {text}",
            *(text, text, now),
            payment_status="failure",
            description=text,
        )
    yield click("deep", TEXTS[0], now)._replace(value=DEEP)
    yield click("huge", TEXTS[0], now, key=b"k" * 1_000_000)
    yield click("c" * 100_000, TEXTS[0], now)
    yield purchase("p" * 2_601, TEXTS[0], TEXTS[0], now)


def test_each_text_is_stored_as_it_was_sent(pipeline: Harness) -> None:
    for column in ("click_id", "user_id", "source", "click_at", "ip"):
        stored = pipeline.query(
            f"select {column} from stg_clicks where user_id = any(%s)",  # type: ignore[arg-type]
            TEXTS,
        )
        assert {text for (text,) in stored} >= set(TEXTS)
    for insight, column in (
        ("last_hour_sources", "source"),
        ("last_hour_categories", "category"),
        ("last_hour_genders", "gender"),
        ("last_hour_payment_failures", "failure_reason"),
    ):
        named = pipeline.query(f"select {column} from {insight}")  # type: ignore[arg-type]
        assert {text for (text,) in named} >= set(TEXTS)


def test_each_is_published_as_it_was_sent(pipeline: Harness) -> None:
    published = pipeline.published()
    for text in TEXTS:
        checkout = json.loads(published[text])
        assert {checkout[name] for name in ("source", "category", "gender")} == {text}


def test_what_is_deep_or_huge_is_one_message_like_others(pipeline: Harness) -> None:
    assert pipeline.sql_differences() == {}
    reasons = pipeline.query(
        "select left(event_key, 4), reason from rejected_events"
        " where event_key ~ '^(kkkk|cccc|pppp)' order by 1"
    )
    assert reasons == [
        ("kkkk", "key differs from click_id"),
        ("pppp", "purchase_id is longer than 2600 bytes"),
    ]
    assert pipeline.query("select 1 from stg_clicks where length(click_id) = 100000")


@pytest.mark.parametrize("command", ["status", "verify"])
def test_nothing_that_was_sent_reaches_the_terminal_as_a_control(
    pipeline: Harness, command: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from firstclick.cli import main; main()", command],
        env={"FIRSTCLICK_HOME": str(pipeline.stack.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.replace("\n", "").isprintable()


def test_the_terminals_view_shows_each_in_writing(pipeline: Harness) -> None:
    answers = ask(pipeline.database)
    assert {source.source for source in answers.sources} >= set(TEXTS)
    terminal = io.StringIO()
    Console(file=terminal, width=200).print(group(summary(answers, 160)))
    assert terminal.getvalue().replace("\n", "").isprintable()


def test_a_batch_that_is_far_larger_than_it_looks_stops_nothing(
    pipeline: Harness,
) -> None:
    producer = Producer(
        {
            **pipeline.stack.kafka.client(),
            "compression.type": "zstd",
            "linger.ms": 2_000,
            "batch.size": 1_000_000_000,
            "message.max.bytes": 1_000_000_000,
        }
    )
    topic = f"{pipeline.stack.topic_prefix}clicks"
    bomb = b'{"click_id": "' + b"x" * 1_000_000 + b'"}'
    keys = [b"bomb %d" % number for number in range(BOMB)]
    for key in keys:
        producer.produce(topic, bomb, key, 0)
    assert producer.flush(60) == 0
    pipeline.settle()
    count = "select count(*) from raw_clicks where event_key = any(%s::bytea[])"
    assert pipeline.query(count, keys) == [(BOMB,)]
    for key in keys:
        producer.produce(topic, None, key, 0)
    assert producer.flush(60) == 0
    pipeline.settle()
    assert pipeline.query(count, keys) == [(0,)]


@pytest.mark.parametrize("name", [text for text in TEXTS if text != "con"])
@pytest.mark.parametrize("variable", ["FIRSTCLICK_SCHEMA", "FIRSTCLICK_TOPIC_PREFIX"])
def test_no_such_text_names_anything(
    monkeypatch: pytest.MonkeyPatch, variable: str, name: str
) -> None:
    monkeypatch.setenv(variable, name)
    with pytest.raises(SettingsError, match=f"^{variable} is "):
        Settings.load()
