"""The pipeline that faults are inflicted on, its processes and its recovery."""

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

from comparison import Difference
from faults.clock import Clock, NoClockError, clock
from faults.disks import Disk, NoDiskError, mounted
from faults.load import Load
from firstclick.core.errors import FirstClickError
from firstclick.core.home import Home
from firstclick.core.settings import Settings
from firstclick.operate import stack as stacks
from firstclick.operate.status import status
from harness import Harness

SERVERS = ("kafka", "postgres")
PROCESSES = ("connector", "publisher", *SERVERS)

PATIENCE = 120.0
"""Seconds to wait for a condition; the supervisor's own waits may last 30 of them."""


@dataclass(frozen=True)
class Compared:
    """The messages and rows that a settled pipeline lacked or had too many of."""

    lost: int
    doubled: int
    differences: list[Difference]


class Site:
    """The pipeline as faults and their report see it; ``site`` makes it."""

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
        """Why the machine has no disks to fill or no clock that steps.

        Maps `disks` and `clock` to the reason; empty if it has both."""
        self.deleted_unread = 0
        """Messages that Kafka deleted, because of a fault, before anybody read them."""
        self.admin = AdminClient({**pipeline.stack.kafka.client(), "log_level": 0})
        self._home = Home(settings.home)
        self._settings = settings

    @property
    def database(self) -> str:
        """The name of the pipeline's database."""
        return str(conninfo_to_dict(self.pipeline.stack.database_url)["dbname"])

    def superuser(self) -> "psycopg.Connection[tuple[Any, ...]]":
        """Open a session that the settings of the pipeline's database don't affect."""
        return psycopg.connect(
            self.pipeline.stack.database_url,
            user="postgres",
            password=self._home.password("superuser"),
            dbname="postgres",
            autocommit=True,
        )

    def find(self, name: str) -> psutil.Process | None:
        """Return the running process of this name, as the supervisor recorded it."""
        state = self._home.state
        assert state is not None
        child = state.children.get(name)
        return child.process.find() if child and child.running else None

    def is_healthy(self) -> bool:
        """Tell whether `firstclick status` reports health, by the machine's clock."""
        return status(self._settings).healthy

    def process(self, name: str) -> psutil.Process:
        """Wait until a process of this name runs, and return it."""
        found = self.pipeline.eventually(lambda: self.find(name), f"{name} runs")
        assert found is not None
        return found

    def successor(self, name: str, last: psutil.Process) -> psutil.Process:
        """Wait until another process has replaced ``last``, and return it."""

        def found() -> psutil.Process | None:
            process = self.find(name)
            return process if process != last else None

        process = self.pipeline.eventually(found, f"{name} started again")
        assert process is not None
        return process

    def kill(self, *names: str) -> None:
        """Kill these processes at once (SIGKILL), and wait for their successors."""
        last = {name: self.process(name) for name in names}
        for process in last.values():
            process.kill()
        for name, process in last.items():
            self.successor(name, process)

    def start(self) -> str:
        """Start the stack, with one retry; return why the first attempt failed."""
        try:
            stacks.start(self._settings, detach=False)
        except FirstClickError as error:
            stacks.start(self._settings, detach=False)
            return str(error)
        return ""

    def stop(self) -> None:
        stacks.down(self._home.path)

    def named(self, topic: str) -> str:
        """Return a topic's name in Kafka."""
        return self.pipeline.stack.topic_prefix + topic

    def log(self, name: str) -> Path:
        return self._home.logs / f"{name}.log"

    def seconds_to_catch_up(self, load: Load, since: float) -> float:
        """Wait until all messages that were due at ``since`` are stored and published.

        ``since`` is a time of ``time.monotonic()``. Returns the seconds from then until
        now. Raises TimeoutError, or ServerError if the load has ended.
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
        """Wait until the pipeline has settled, and compare it with the oracle.

        ``sent`` is the number of messages that Kafka has acknowledged. Messages that
        Kafka lacks count as lost, additional ones as duplicated; rows likewise.
        Messages that were deleted unread are neither, if the pipeline has counted
        exactly those as lost.
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
    """Run a fresh stack in a temporary home while the block runs.

    It ignores server addresses in the environment. Raises FirstClickError.
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
