"""A pipeline of the faults' own, its processes, and how fast it recovers."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import psutil
import psycopg
from confluent_kafka.admin import AdminClient
from psycopg.conninfo import conninfo_to_dict

from conformance import Difference, Harness
from faults.clock import Clock, NoClockError, clock
from faults.disks import Disk, NoDiskError, mounted
from faults.load import Load
from firstclick.core.errors import FirstClickError
from firstclick.core.home import Home
from firstclick.core.settings import Settings
from firstclick.operate import stack as stacks
from firstclick.operate.status import status

SERVERS = ("kafka", "postgres")
PROCESSES = ("connector", "publisher", *SERVERS)

PATIENCE = 120.0
"""Seconds for a condition to come true: the supervisor alone may wait 30."""


@dataclass(frozen=True)
class Compared:
    """What a settled pipeline lacked, and what it had too much."""

    lost: int
    doubled: int
    differences: list[Difference]


class Site:
    """The pipeline as faults and their report see it; made by ``site``."""

    def __init__(
        self,
        settings: Settings,
        pipeline: Harness,
        disks: dict[str, Disk],
        clock: Clock | None,
        lacking: dict[str, str],
        random: Random,
    ) -> None:
        self.pipeline = pipeline
        self.random = random
        self.disks = disks
        self.clock = clock
        self.lacking = lacking
        """Why there are no disks to fill, or no clock that steps: by `disks`, `clock`.
        Empty where there are."""
        self.deleted_unread = 0
        """Messages that a fault had Kafka delete before they were read."""
        self.admin = AdminClient({**pipeline.stack.kafka.client(), "log_level": 0})
        self._home = Home(settings.home)
        self._settings = settings

    @property
    def database(self) -> str:
        """The name of the pipeline's database."""
        return str(conninfo_to_dict(self.pipeline.stack.database_url)["dbname"])

    def superuser(self) -> "psycopg.Connection[tuple[Any, ...]]":
        """A session that no setting of the pipeline's database touches."""
        return psycopg.connect(
            self.pipeline.stack.database_url,
            user="postgres",
            password=self._home.password("superuser"),
            dbname="postgres",
            autocommit=True,
        )

    def find(self, name: str) -> psutil.Process | None:
        """The process of this name, by its supervisor's word."""
        state = self._home.state
        assert state is not None
        child = state.children.get(name)
        return child.process.find() if child and child.running else None

    def is_healthy(self) -> bool:
        """Whether `firstclick status` says so, by the machine's own clock."""
        return status(self._settings).healthy

    def process(self, name: str) -> psutil.Process:
        """The process of this name; waits until there is one."""
        found = self.pipeline.eventually(lambda: self.find(name), f"{name} runs")
        assert found is not None
        return found

    def successor(self, name: str, last: psutil.Process) -> psutil.Process:
        """The process that took the place of this one; waits until there is one."""

        def found() -> psutil.Process | None:
            process = self.find(name)
            return process if process != last else None

        process = self.pipeline.eventually(found, f"{name} started again")
        assert process is not None
        return process

    def kill(self, *names: str) -> None:
        """SIGKILL these at once, and wait until each has a successor."""
        last = {name: self.process(name) for name in names}
        for process in last.values():
            process.kill()
        for name, process in last.items():
            self.successor(name, process)

    def start(self) -> str:
        """Start the stack, once more where that fails: returns why it did."""
        try:
            stacks.start(self._settings, detach=False)
        except FirstClickError as error:
            stacks.start(self._settings, detach=False)
            return str(error)
        return ""

    def stop(self) -> None:
        stacks.down(self._home.path)

    def named(self, topic: str) -> str:
        """A topic's name in Kafka."""
        return self.pipeline.stack.topic_prefix + topic

    def log(self, name: str) -> Path:
        return self._home.logs / f"{name}.log"

    def seconds_to_catch_up(self, load: Load, since: float) -> float:
        """Wait until all that was due then is stored and published.

        ``since`` is of ``time.monotonic()``, and so are the seconds counted. Raises
        TimeoutError, ServerError where the load has ended.
        """
        due = load.due(since)

        def stored() -> bool:
            load.check()
            return self._stored() >= due

        self.pipeline.eventually(stored, f"{due:,} messages stored")
        self.pipeline.await_publisher()
        [(last,)] = self.pipeline.execute(
            "select coalesce(max(change_id), 0) from {schema}.checkouts_changes"
        )
        self.pipeline.eventually(
            lambda: (
                not self.pipeline.execute(
                    "select from {schema}.checkouts_changes where change_id <= %s"
                    " limit 1",
                    [last],
                )
            ),
            "their checkouts published",
        )
        return time.monotonic() - since

    def compared(self, sent: int) -> Compared:
        """Settle, and compare all with the oracle.

        ``sent`` is the number of messages that Kafka has acknowledged: what it does
        not hold is lost, and what it holds besides is doubled, as are rows. What was
        deleted unread is neither, as long as just that is counted.
        """
        self.pipeline.settle()
        differences = self.pipeline.differences()
        surplus = len(self.pipeline.messages()) + self.deleted_unread - sent
        [(counted,)] = self.pipeline.execute(
            "select sum(lost_messages)::bigint from {schema}.pipeline_health"
        )
        uncounted = self.deleted_unread - counted
        return Compared(
            lost=sum(len(each.missing) for each in differences)
            + max(-surplus, 0)
            + max(uncounted, 0),
            doubled=sum(len(each.unexpected) for each in differences)
            + max(surplus, 0)
            + max(-uncounted, 0),
            differences=differences,
        )

    def _stored(self) -> int:
        [(stored,)] = self.pipeline.execute(
            "select coalesce(sum(next_offset), 0)::bigint from {schema}.kafka_offsets"
        )
        return int(stored)


@contextmanager
def site(random: Random) -> Iterator[Site]:
    """A fresh stack in a temporary home, for as long as the block runs.

    Addresses in the environment are not used. Raises FirstClickError.
    """
    with ExitStack() as exits:
        home = Path(tempfile.mkdtemp(prefix="firstclick-faults-"))
        exits.callback(shutil.rmtree, home)
        Home.open(home)
        disks, stepping, lacking = {}, None, {}
        try:
            for name in SERVERS:
                disks[name] = exits.enter_context(mounted(home / name))
        except NoDiskError as error:
            lacking["disks"] = str(error)
        try:
            stepping = exits.enter_context(clock())
        except NoClockError as error:
            lacking["clock"] = str(error)
        settings = Settings.load().isolated(home)
        exits.callback(stacks.down, home)
        started = stacks.start(settings, detach=False).pipeline
        pipeline = exits.enter_context(Harness(started, patience=PATIENCE))
        yield Site(settings, pipeline, disks, stepping, lacking, random)
