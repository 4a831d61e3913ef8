"""A full hour of events: the cost of storing each one, and the speed of queries."""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from statistics import linear_regression, median

from psycopg import sql

from benchmarks.findings import Section, percentile
from benchmarks.first_paint import paint
from benchmarks.panels import ask_panels
from benchmarks.shop_events import messages
from benchmarks.stage import Stage, staged, used_between
from firstclick_generator import Delivery
from firstclick_generator.producer import open_producer

RATE = 1_000
"""Events per second of the shop's time."""

CHUNK = 100_000
MOST_GROWTH = 1.2
"""How many times the CPU of the first third an event may cost in the last third."""

RELATIONS = (
    "last_hour_sources",
    "last_hour_revenue",
    "last_hour_categories",
    "last_hour_payment_failures",
    "last_hour_genders",
    "pipeline_health",
    "earliest_clicks",
)
TARGET = 0.010
"""Seconds that a query of ``last_hour_sources`` may take (median)."""


def flat_and_questions(
    quick: bool,
    say: Callable[[str], None],
    *,
    flat: bool,
    psql: bool,
    panels: bool,
    page: bool,
) -> Iterator[Section]:
    """Fill a fresh stack with the past hour at 1,000 events/s, then query it.

    flat: sends chunks of 100,000 events to Kafka while the connector's process is
    paused. For each chunk, it then resumes the connector and measures the time until
    PostgreSQL has stored all events, and the CPU seconds that PostgreSQL and the
    connector spend. It ends when the shop's time has caught up with the clock, after
    more than 3 million events. The publisher runs at the same time.

    psql: reads each relation 200 times while the generator goes on at 1,000 events/s.
    The relations take turns, spread over two minutes, because the work of a query
    depends on the second of the minute. Statements are unprepared, as psql sends them,
    and timed until all rows have arrived.

    panels: runs the query of each dashboard panel in the same way, 60 times in a
    minute.

    page: visits each dashboard of the live page 10 times with a browser.
    """
    minutes, chunk = (3, CHUNK // 5) if quick else (60, CHUNK)
    with staged() as stage:
        section = Section("flat")
        _fill(stage, minutes, chunk, section, say)
        if flat:
            yield section
        if psql:
            yield _ask(stage, 40 if quick else 200, 10 if quick else 120, say)
        if panels:
            yield ask_panels(stage, 10 if quick else 60, 10 if quick else 60, say)
        if page:
            yield paint(stage, 2 if quick else 10, say)


def _fill(
    stage: Stage,
    minutes: int,
    chunk: int,
    section: Section,
    say: Callable[[str], None],
) -> None:
    stream = messages(time.time() - 60 * minutes, RATE, seed=minutes)
    held, wall, cpu, sessions = [], [], [], []
    while True:
        with stage.paused_connector():
            before = stage.lag().sent
            complete = _send(stage, stream, chunk)
            sent = stage.lag().sent - before
            used = stage.cpu_seconds()
        seconds = stage.drain()
        if not complete:
            break
        part = used_between(used, stage.cpu_seconds())
        held.append(stage.lag().stored)
        wall.append(1e6 * seconds / sent)
        sessions.append(1e6 * part["PostgreSQL, connector"] / sent)
        cpu.append(
            1e6
            * sum(s for p, s in part.items() if p == "connector" or p[:4] == "Post")
            / sent
        )
        say(f"{held[-1]:,} events held, {wall[-1]:.0f} µs each")
    section.series["events_held"] = held
    section.series["microseconds_per_event"] = [round(v, 1) for v in wall]
    section.series["cpu_microseconds_per_event"] = [round(v, 1) for v in cpu]
    section.series["cpu_microseconds_of_connectors_session"] = [
        round(v, 1) for v in sessions
    ]
    third = max(len(held) // 3, 1)
    growth = median(cpu[-third:]) / median(cpu[:third])
    section.add("events held at the end", held[-1], "")
    section.add("from Kafka to stored, median", median(wall), "µs/event")
    section.add("CPU of PostgreSQL and connector, median", median(cpu), "µs/event")
    section.add(
        "that in the last third by the first third",
        growth,
        "times",
        target=f"≤ {MOST_GROWTH}",
        met=growth <= MOST_GROWTH,
    )
    millions = [number / 1e6 for number in held]
    slope = linear_regression(millions, cpu).slope if len(held) > 1 else 0.0
    section.add("that, with each million events held", slope, "µs/event")


def _send(stage: Stage, stream: Iterator[Delivery], chunk: int) -> bool:
    """Send a chunk, but stop when the shop's time reaches the present.

    Returns whether the chunk is complete.
    """
    number = 0
    with open_producer(stage.stack.bootstrap_servers) as producer:
        for number, message in enumerate(islice(stream, chunk), start=1):
            producer.send(message.topic, message.key, message.payload)
            if message.at > 1000 * time.time():
                break
            if number % 500 == 0:
                producer.check()
    return number == chunk


def _ask(
    stage: Stage, runs: int, seconds: float, say: Callable[[str], None]
) -> Section:
    section = Section("psql")
    say(f"each relation {runs} times in {seconds:.0f} s")
    times: dict[str, list[float]] = {relation: [] for relation in RELATIONS}
    cursor = stage.database.cursor()
    with stage.generator(RATE, seconds + 5):
        start = time.monotonic() + 3
        for run in range(runs):
            time.sleep(max(0.0, start + run * seconds / runs - time.monotonic()))
            for relation in RELATIONS:
                query = sql.SQL("select * from {}").format(sql.Identifier(relation))
                asked = time.perf_counter()
                cursor.execute(query, prepare=False).fetchall()
                times[relation].append(time.perf_counter() - asked)
    events = stage.value(
        "select sum(checkouts)::bigint from last_hour_payment_failures"
    ) + stage.value("select checkouts from last_hour_revenue")
    section.add("checkouts of the last hour", events, "")
    for relation, values in times.items():
        middle = median(values)
        section.add(
            f"{relation}, median",
            1000 * middle,
            "ms",
            target="≤ 10" if relation == RELATIONS[0] else "",
            met=middle <= TARGET if relation == RELATIONS[0] else None,
        )
        section.add(f"{relation}, p99", 1000 * percentile(values, 0.99), "ms")
        section.series[relation] = [round(1000 * value, 2) for value in values]
    return section
