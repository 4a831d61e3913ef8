"""Days of events in minutes: what is kept does not grow with the pipeline's age.

``python -m benchmarks.soak``. The database, its models and the worker that deletes have
a clock that runs fast; events come at full rate, with that clock's times. After the
first 48 hours an event goes for each that comes: from then on rows, disk, memory and
the cost of an event have to stay where they are, and the insights as they were. Saved
in docs/soak.json.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Annotated, Any, LiteralString

import typer
from psycopg import sql
from psycopg.rows import dict_row

import oracle
from benchmarks.clock import HOUR, MINUTE, Clock
from benchmarks.compressed import shop
from benchmarks.findings import Section
from benchmarks.report import Say, judged
from benchmarks.stage import Stage, staged
from firstclick.deploy import PROJECT
from firstclick.embedded.processes import Command, Running
from firstclick.errors import ServerError
from firstclick.home import Home
from firstclick.roles import role_of, role_url
from firstclick.settings import Settings
from firstclick.stack import Stack
from firstclick.verify import verify
from generator import Delivery

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "soak.json"

HOURS, MINUTES, RATE = 96, 20, 5_000

KEPT = 48
"""Hours that an event is kept."""
SETTLED = 2
"""Hours until deletions, vacuum and compaction are in step, once something expires."""
TOMBSTONES = 24
"""Hours that Kafka keeps a tombstone after it has compacted what it deletes."""

INSIGHTS = ("sources", "revenue", "categories", "payment_failures", "genders")
KAFKA = ("clicks", "purchases", "checkouts")
SAMPLE = 1_000

TABLES = """
select
    relname,
    n_tup_ins - n_tup_del,
    n_dead_tup,
    pg_table_size(relid),
    pg_indexes_size(relid),
    case when relname ~ '^raw_' then n_tup_ins else 0 end
from pg_stat_user_tables
where schemaname = current_schema()
order by relname
"""

MINUTES_OF: LiteralString = "select * from {} where minute >= %s and minute < %s"

Rows = dict[str, set[tuple[Any, ...]]]
"""By insight."""


@dataclass(frozen=True)
class Sample:
    """What there was at one moment."""

    hour: float
    """Since the first event, by the clock that runs fast."""
    events: int
    """Stored so far, expired ones included."""
    rows: dict[str, int]
    dead: dict[str, int]
    """Rows that are yet to be cleared away."""
    disk: dict[str, float]
    memory: dict[str, float]
    """Megabytes, as of the disk."""
    cpu: dict[str, float]
    """Seconds used so far."""
    lag: int


def soak(hours: int, minutes: float, rate: float, say: Say) -> Section:
    """Keep the shop going for so many hours, in so many minutes."""
    section = Section("soak")
    clock = Clock(time.time(), hours * HOUR / (minutes * MINUTE))

    def prepare(servers: Stack) -> None:
        clock.install(servers.database_url)
        # Nobody asks when a checkout was published: its messages have the real time
        stamped = {topic: topic != "checkouts" for topic in KAFKA}
        clock.compress(servers.kafka, stamped)

    with staged(prepare, expire=False) as stage:
        begin = clock.now()
        end = begin + hours * HOUR
        slow = rate / clock.factor
        say(f"{hours} hours in {minutes:g} minutes, {rate:,.0f} events/s")
        soaked = _Soak(stage, clock, begin)
        with _process(stage, clock, "expire") as expire:
            servers = stage.stack.bootstrap_servers
            numbers = map(repr, (begin, end, slow))
            with _process(stage, clock, "send", servers, *numbers) as sender:
                soaked.watch(hours, {"expire": expire, "send": sender}, say)
                sent = _result(sender)
        drained = stage.drain()
        _judge(section, soaked, sent)
        section.add("until all was stored, then", drained, "s")
        say("comparing the insights")
        _compare(section, soaked, clock, begin, end, slow, say)
    return section


class _Soak:
    """A run under way: samples of it, and insights as they were when new."""

    def __init__(self, stage: Stage, clock: Clock, begin: float) -> None:
        self.stage = stage
        self.samples: list[Sample] = []
        self.insights: Rows = {name: set() for name in INSIGHTS}
        self._clock = clock
        self._begin = begin
        self._home = stage.stack.home

    def watch(self, hours: int, processes: dict[str, Running], say: Say) -> None:
        """Take a sample an hour. Raises ServerError where a process has ended."""
        for hour in range(1, hours + 1):
            self._clock.wait_until(self._begin + hour * HOUR)
            for name, running in processes.items():
                if running.process.poll() and hour < hours:
                    raise ServerError(_why(name, running))
            self.samples.append(self._sample(processes))
            self._remember(hour)
            say(_line(self.samples[-1]))

    def _sample(self, processes: dict[str, Running]) -> Sample:
        expire = processes["expire"].process.pid
        tables = self.stage.database.execute(TABLES).fetchall()
        names, live, dead, heap, indexes, stored = zip(*tables, strict=True)
        return Sample(
            hour=(self._clock.now() - self._begin) / HOUR,
            events=sum(stored),
            rows=dict(zip(names, live, strict=True)),
            dead=dict(zip(names, dead, strict=True)),
            disk={
                "tables": sum(heap) / 1e6,
                "indexes": sum(indexes) / 1e6,
                "WAL": _size(self._home / "postgres/data/pg_wal", "*"),
                **{
                    f"Kafka, {topic}": _size(
                        self._home / "kafka/data", f"{topic}-*/*.log*"
                    )
                    for topic in KAFKA
                },
            },
            memory=self.stage.megabytes(expire=expire),
            cpu=self.stage.cpu_seconds(expire=expire),
            lag=self.stage.lag().messages,
        )

    def _remember(self, hour: int) -> None:
        """Keep the insights of an hour in which nothing comes late any more."""
        if hour > 1:
            since = self._minute(hour - 2)
            for name, rows in self.rows(since, since + timedelta(hours=1)).items():
                self.insights[name] |= rows

    def _minute(self, hour: int) -> datetime:
        return _whole_minute(self._begin) + timedelta(hours=hour)

    def rows(self, since: datetime, until: datetime) -> Rows:
        """The insights by the minute, of so long."""
        return {
            name: set(
                self.stage.database.execute(
                    sql.SQL(MINUTES_OF).format(sql.Identifier(f"minute_{name}")),
                    [since, until],
                )
            )
            for name in INSIGHTS
        }

    def reference(self) -> oracle.Reference:
        users, products = (
            self.stage.database.cursor(row_factory=dict_row)
            .execute(sql.SQL("select * from {}").format(sql.Identifier(table)))
            .fetchall()
            for table in ("users", "products")
        )
        return oracle.Reference.of_rows(users, products)


def _judge(section: Section, soaked: _Soak, sent: int) -> None:
    samples = soaked.samples
    hours = [round(sample.hour, 2) for sample in samples]
    spent = [
        sum(
            sample.cpu.get(part, 0)
            for part in sample.cpu
            if part in ("kafka", "connector")
            or (part.startswith("PostgreSQL") and part != "PostgreSQL, bench")
        )
        for sample in samples
    ]
    cost = [
        1e6 * (after[0] - before[0]) / max(after[1] - before[1], 1)
        for before, after in pairwise(
            zip(spent, (sample.events for sample in samples), strict=True)
        )
    ]
    rows = _series([sample.rows for sample in samples])
    disk = _series([sample.disk for sample in samples])
    memory = _series([sample.memory for sample in samples])
    section.series = {
        "hours": hours,
        "events": [sample.events for sample in samples],
        "rows": rows,
        "dead_rows": _series([sample.dead for sample in samples]),
        "disk_megabytes": disk,
        "memory_megabytes": memory,
        "cpu_microseconds_per_event": [round(value, 2) for value in cost],
        "lag": [sample.lag for sample in samples],
    }
    section.add("hours", hours[-1], "h")
    section.add("sent", sent, "messages")
    section.add("lag, median", median(section.series["lag"]), "messages")

    for measure in (
        Measure("rows", [sum(sample.rows.values()) for sample in samples], "", 3),
        Measure("tables", disk["tables"], "MB", 5, max),
        Measure("indexes", disk["indexes"], "MB", 5, max),
        # Until it is as large as it may get, which is a setting, it is not used again
        Measure("PostgreSQL's log", disk["WAL"], "MB", None, max),
        Measure(
            "Kafka",
            [
                sum(sample.disk[f"Kafka, {topic}"] for topic in KAFKA)
                for sample in samples
            ],
            "MB",
            10,
            max,
            TOMBSTONES,
        ),
        *(
            Measure(f"memory of {name}", values, "MB", 10)
            for name, values in memory.items()
        ),
        Measure("CPU an event", cost, "µs", 10),
    ):
        measure.add_to(section, hours)


@dataclass(frozen=True)
class Measure:
    """Something that is to stay where it is."""

    what: str
    values: list[float]
    """By the hour, of the last hours."""
    unit: str
    most: float | None
    """Percent by which the later half may be above the earlier one. Where nothing
    expired, it would be 25 for rows."""
    of: Callable[[list[float]], float] = median
    """What stands for a half; of what grows until it is cleared away, the most."""
    later: float = 0
    """Hours by which it settles after the first events expire."""

    def add_to(self, section: Section, hours: list[float]) -> None:
        """Add what it was from when it had settled, where that was long enough."""
        since = KEPT + SETTLED + self.later
        level = [
            value
            for hour, value in zip(hours[-len(self.values) :], self.values, strict=True)
            if hour >= since
        ]
        if len(level) < 2:
            return
        middle = len(level) // 2
        earlier, later = self.of(level[:middle]), self.of(level[middle:])
        growth = 100 * (later / earlier - 1) if earlier else 0.0
        section.add(f"{self.what}, from hour {since:g}", later, self.unit)
        if self.most is not None:
            section.add(
                f"{self.what}, later half by the earlier",
                growth,
                "%",
                target=f"≤ {self.most:g}",
                met=growth <= self.most,
            )


def _compare(
    section: Section,
    soaked: _Soak,
    clock: Clock,
    begin: float,
    end: float,
    rate: float,
    say: Say,
) -> None:
    """Compare the insights that are kept with what they were, and with the oracle.

    The oracle looks at the hour that is the next to go: clicks that its purchases need
    are older than the oldest purchase.
    """
    stage = soaked.stage
    oldest = max(clock.now() - KEPT * HOUR, begin)
    since = _whole_minute(oldest) + timedelta(minutes=2)
    kept = soaked.rows(since, _whole_minute(end))
    changed = sum(
        len({row for row in rows if row[0] >= since} - kept[name])
        for name, rows in soaked.insights.items()
    )
    held = sum(map(len, kept.values()))
    section.add("insights of 48 hours", held, "rows", target="some", met=held > 0)
    section.add(
        "changed since they were new", changed, "rows", target="none", met=not changed
    )
    expected = _expected(since, shop(begin, end, rate), soaked.reference())
    stored = soaked.rows(since, since + timedelta(hours=1))
    wrong = sum(len(expected[name] ^ stored[name]) for name in INSIGHTS)
    held = sum(map(len, stored.values()))
    section.add(
        "insights of the oldest hour", held, "rows", target="some", met=held > 0
    )
    section.add("other than the oracle's", wrong, "rows", target="none", met=not wrong)
    settings = Settings.load().alone(stage.stack.home)
    found = verify(settings, sample=SAMPLE, seed=0)
    differing = [
        each for each in (*(found.recomputed or []), *found.sampled) if each.differing
    ]
    for each in differing:
        say(str(each))
    section.add(
        "relations other than recomputed",
        len(differing),
        "",
        target="none",
        met=found.equal,
    )


def _expected(
    since: datetime, deliveries: Iterable[Delivery], reference: oracle.Reference
) -> Rows:
    """What the oracle says of the hour, by the messages of that time."""
    until = since + timedelta(hours=1)
    # What comes late comes within ten minutes
    margin = timedelta(minutes=21)
    first, last = (since - margin).timestamp(), (until + margin).timestamp()
    messages = [
        oracle.Message(
            topic=delivery.topic,
            partition=0,
            offset=number,
            key=delivery.key,
            value=delivery.payload,
            kafka_time=datetime.fromtimestamp(delivery.at / 1000, UTC),
        )
        for number, delivery in enumerate(deliveries)
        if first <= delivery.at / 1000 <= last
    ]
    found = oracle.relations(messages, reference, until)
    return {
        name: {row for row in found[f"minute_{name}"] if since <= row[0] < until}
        for name in INSIGHTS
    }


@contextlib.contextmanager
def _process(
    stage: Stage, clock: Clock, name: str, *arguments: str
) -> Iterator[Running]:
    """A process of ``benchmarks.compressed`` for as long as the block runs."""
    home = Home(stage.stack.home)
    expire = role_of("expire", stage.stack.schema_name)
    environment = {
        **os.environ,
        **stage.stack.kafka.environment(),
        "DATABASE_URL": role_url(
            stage.stack.database_url, expire, home.password("expire")
        ),
        "FIRSTCLICK_SCHEMA": stage.stack.schema_name,
    }
    module = [sys.executable, "-m", "benchmarks.compressed", *clock.arguments]
    running = Running.start(
        name, Command([*module, name, *arguments], environment, PROJECT), home.logs
    )
    try:
        yield running
    finally:
        running.stop()


def _result(running: Running) -> int:
    """The number that the process printed in the end. Raises ServerError."""
    if running.process.wait():
        raise ServerError(_why("send", running))
    return int(running.last_words()[-1])


def _why(name: str, running: Running) -> str:
    said = next(reversed(running.last_words()), None) or running.unsaid_reason()
    return f"the process {name} ended early, expected it to go on: {said}; run it again"


def _size(directory: Path, pattern: str) -> float:
    """Megabytes of the files, however much of that is on the disk yet."""
    total = 0
    for file in directory.glob(pattern):
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total / 1e6


def _series(samples: list[Mapping[str, float]]) -> dict[str, list[float]]:
    names = dict.fromkeys(name for sample in samples for name in sample)
    return {
        name: [round(sample.get(name, 0), 1) for sample in samples] for name in names
    }


def _whole_minute(moment: float) -> datetime:
    return datetime.fromtimestamp(moment // MINUTE * MINUTE, UTC)


def _line(sample: Sample) -> str:
    return (
        f"hour {sample.hour:6.1f}: {sum(sample.rows.values()):>10,} rows, "
        f"{sum(sample.disk.values()):>8,.0f} MB of disk, "
        f"{sum(sample.memory.values()):>6,.0f} MB of memory, lag {sample.lag:,}"
    )


def main(
    hours: Annotated[int, typer.Option(min=2, help="Of the shop's time.")] = HOURS,
    minutes: Annotated[float, typer.Option(min=0.1, help="Of real time.")] = MINUTES,
    rate: Annotated[float, typer.Option(min=1, help="Events a second.")] = RATE,
    output: Annotated[Path, typer.Option(help="Where to save.")] = RESULTS,
) -> None:
    """Keep a pipeline going for days that pass in minutes, and see what grows."""
    judged("soak", partial(soak, hours, minutes, rate), output)


if __name__ == "__main__":
    typer.run(main)
