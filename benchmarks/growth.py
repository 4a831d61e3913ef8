"""A pipeline's size and cost, hour by hour, and whether they grow with its age."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks.findings import Section
from benchmarks.stage import Stage
from firstclick.servers.topics import TOPICS

KEPT = 48
"""Hours for which the pipeline keeps an event."""
SETTLED = 2
"""Hours until deletions, vacuum and compaction keep pace, from the first expiry on."""
MOST_LOG = 4_000
"""Megabytes that the write-ahead log may use. It grows to ``max_wal_size``, 3 GB,
before PostgreSQL recycles its files, and beyond that when a checkpoint is late."""

TOMBSTONES = 24
"""Hours for which Kafka keeps a tombstone after compacting the messages it deletes."""

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


@dataclass(frozen=True)
class Sample:
    """The size of everything at one moment."""

    hour: float
    """Hours since the first event, by the clock that runs fast."""
    events: int
    """Events stored so far, including those that have expired."""
    rows: dict[str, int]
    dead: dict[str, int]
    """Dead rows that vacuum hasn't removed yet, by table."""
    disk: dict[str, float]
    memory: dict[str, float]
    """Megabytes, like ``disk``."""
    cpu: dict[str, float]
    """CPU seconds used so far, by process."""
    lag: int

    def __str__(self) -> str:
        return (
            f"hour {self.hour:6.1f}: {sum(self.rows.values()):>10,} rows, "
            f"{sum(self.disk.values()):>8,.0f} MB of disk, "
            f"{sum(self.memory.values()):>6,.0f} MB of memory, lag {self.lag:,}"
        )

    @property
    def spent(self) -> float:
        """CPU seconds of Kafka, the connector and PostgreSQL together."""
        return sum(
            seconds
            for part, seconds in self.cpu.items()
            if part in ("kafka", "connector")
            or (part.startswith("PostgreSQL") and part != "PostgreSQL, bench")
        )


def sample(stage: Stage, hour: float, **others: int) -> Sample:
    """Measure the stage, and other processes by pid, ``hour`` hours after the start."""
    tables = stage.database.execute(TABLES).fetchall()
    names, live, dead, heap, indexes, stored = zip(*tables, strict=True)
    home = stage.stack.home
    return Sample(
        hour=hour,
        events=sum(stored),
        rows=dict(zip(names, live, strict=True)),
        dead=dict(zip(names, dead, strict=True)),
        disk={
            "tables": sum(heap) / 1e6,
            "indexes": sum(indexes) / 1e6,
            "WAL": _size(home / "postgres/data/pg_wal", "*"),
            **{
                # With segments that compaction has replaced and Kafka deletes later
                f"Kafka, {topic}": _size(home / "kafka/data", f"{topic}-*/*.log*")
                for topic in TOPICS
            },
        },
        memory=stage.megabytes(**others),
        cpu=stage.cpu_seconds(**others),
        lag=stage.lag().messages,
    )


def judge(section: Section, samples: list[Sample]) -> None:
    """Add the samples to the section, and whether each measure has stayed level."""
    hours = [round(each.hour, 2) for each in samples]
    cost = [
        1e6 * (after.spent - before.spent) / max(after.events - before.events, 1)
        for before, after in pairwise(samples)
    ]
    disk = _series([each.disk for each in samples])
    memory = _series([each.memory for each in samples])
    lag = [each.lag for each in samples]
    section.series = {
        "hours": hours,
        "events": [each.events for each in samples],
        "rows": _series([each.rows for each in samples]),
        "dead_rows": _series([each.dead for each in samples]),
        "disk_megabytes": disk,
        "memory_megabytes": memory,
        "cpu_microseconds_per_event": [round(value, 2) for value in cost],
        "lag": lag,
    }
    section.add("hours", hours[-1], "h")
    section.add("lag, median", median(lag), "messages")
    log = max(disk["WAL"])
    section.add(
        "PostgreSQL's log, most",
        log,
        "MB",
        target=f"≤ {MOST_LOG:,}",
        met=log <= MOST_LOG,
    )
    topics = zip(*(disk[f"Kafka, {topic}"] for topic in TOPICS), strict=True)
    for measure in (
        Measure("rows", [sum(each.rows.values()) for each in samples], "", 3),
        Measure("tables", disk["tables"], "MB", 5, max),
        Measure("indexes", disk["indexes"], "MB", 5, max),
        Measure("Kafka", list(map(sum, topics)), "MB", 10, max, TOMBSTONES),
        *(
            Measure(f"memory of {name}", values, "MB", 10)
            for name, values in memory.items()
        ),
        Measure("CPU an event", cost, "µs", 10),
    ):
        measure.add_to(section, hours)


@dataclass(frozen=True)
class Measure:
    """A quantity that should stay level once the pipeline has settled."""

    what: str
    values: list[float]
    """The values of the last hours, one for each sample."""
    unit: str
    most: float
    """Percent by which the later half may exceed the earlier one.

    For example, rows would grow by 25 % if nothing expired."""
    of: Callable[[list[float]], float] = median
    """How to summarise a half: ``max`` for a size that grows until it is cleaned up."""
    later: float = 0
    """Extra hours until this quantity settles, after ``KEPT + SETTLED``."""

    def add_to(self, section: Section, hours: list[float]) -> None:
        """Add the settled values and their growth, if there are at least two."""
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
        section.add(
            f"{self.what}, later half by the earlier",
            growth,
            "%",
            target=f"≤ {self.most:g}",
            met=growth <= self.most,
        )


def _size(directory: Path, pattern: str) -> float:
    """Return the files' length in megabytes, whether or not it is on the disk yet."""
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
