"""A benchmark's stack, and measurements of it from outside."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psutil
import psycopg
from psycopg import sql

from firstclick.core.errors import FirstClickError, ServerError
from firstclick.core.home import Home
from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings
from firstclick.operate import stack
from firstclick.workers.connector.source import Source

DRAIN_PATIENCE = 600.0
_POLL = 0.02


@dataclass(frozen=True)
class Lag:
    """How far the connector is behind Kafka, in messages of both topics together."""

    at: float
    """When it was measured, by ``time.monotonic()``."""
    stored: int
    """Messages that PostgreSQL has stored."""
    sent: int
    """Messages that Kafka holds, read after ``stored``."""

    @property
    def messages(self) -> int:
        return self.sent - self.stored


class Stage:
    """The running stack of a section; ``staged`` makes it."""

    def __init__(self, started: Pipeline, source: Source) -> None:
        self.stack = started
        self.database = self.connect()
        self._home = Home(started.home)
        self._source = source
        self._partitions = source.partitions()

    def connect(self, role: str = "bench") -> psycopg.Connection:
        """Open an autocommit session whose search path is the pipeline's schema."""
        return psycopg.connect(
            self.stack.database_url,
            autocommit=True,
            application_name=f"firstclick {role}",
            options=f"-c search_path={self.stack.schema_name}",
        )

    def value(self, statement: LiteralString) -> Any:
        """Return the first column of a query's only row."""
        row = self.database.execute(sql.SQL(statement)).fetchone()
        assert row is not None
        return row[0]

    def lag(self) -> Lag:
        """Measure how many messages Kafka holds and PostgreSQL lacks, never too few."""
        at = time.monotonic()
        stored = self.value(
            "select coalesce(sum(next_offset), 0)::bigint from kafka_offsets"
        )
        marks = self._source.high_watermarks(self._partitions)
        return Lag(at, stored, sum(sum(topic.values()) for topic in marks.values()))

    def drain(self, patience: float = DRAIN_PATIENCE) -> float:
        """Wait until PostgreSQL has every message that Kafka holds; return the seconds.

        Raises ServerError if that takes longer than ``patience`` seconds.
        """
        start = time.monotonic()
        while (lag := self.lag()).messages:
            if lag.at - start > patience:
                raise ServerError(
                    f"the connector is {lag.messages} messages behind after "
                    f"{patience:.0f} s, expected none: see the machine's load, "
                    "or measure at a lower rate"
                )
            time.sleep(_POLL)
        return time.monotonic() - start

    def wal_bytes(self) -> int:
        """Return how much WAL PostgreSQL has written so far."""
        return int(self.value("select pg_current_wal_insert_lsn() - '0/0'"))

    def processes(self) -> dict[str, int]:
        """Return the pid of each process of the stack, which may have ended."""
        state = self._home.state
        assert state is not None
        return {name: child.process.pid for name, child in state.children.items()}

    def megabytes(self, **others: int) -> dict[str, float]:
        """Return the unshared memory of each process, and of others by pid.

        PostgreSQL's includes all its sessions, but not the buffers that they share.
        """
        parts = {**self.processes(), **others}
        return {name: _own_megabytes(pid) for name, pid in parts.items()}

    def cpu_seconds(self, **others: int) -> dict[str, float]:
        """Return the CPU that each process has used so far, and others by pid.

        PostgreSQL's is divided by session. Its background processes, including
        autovacuum workers that have ended, are in ``PostgreSQL, rest``.
        """
        parts = self.processes()
        postmaster = psutil.Process(parts.pop("postgres"))
        used = {name: _cpu(pid) for name, pid in {**parts, **others}.items()}
        sessions = self.database.execute(
            "select pid, application_name from pg_stat_activity"
            " where application_name like 'firstclick %'"
        ).fetchall()
        total = _cpu(postmaster.pid, ended_children=True) + sum(
            _cpu(child.pid) for child in postmaster.children()
        )
        for pid, application in sessions:
            part = f"PostgreSQL, {application.removeprefix('firstclick ')}"
            used[part] = used.get(part, 0.0) + _cpu(pid)
        known = sum(seconds for part, seconds in used.items() if part[:4] == "Post")
        used["PostgreSQL, rest"] = total - known
        return used

    def queued_seconds(self) -> float | None:
        """Return how long the connector's session was ready to run but had no core.

        The kernel counts this in /proc/PID/schedstat; None if it doesn't.
        """
        session = self.value(
            "select pid from pg_stat_activity"
            " where application_name = 'firstclick connector'"
        )
        try:
            _, waited, _ = Path(f"/proc/{session}/schedstat").read_text().split()
        except OSError:
            return None
        return int(waited) / 1e9

    @contextlib.contextmanager
    def paused_connector(self) -> Iterator[None]:
        """Suspend the connector's process while the block runs."""
        state = self._home.state
        assert state is not None
        process = state.children["connector"].process.find()
        if process is None:
            raise ServerError(
                "the connector does not run, expected it to: see "
                f"{self.stack.home / 'logs' / 'connector.log'}"
            )
        process.suspend()
        try:
            yield
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    @contextlib.contextmanager
    def generator(
        self, rate: float, duration: float
    ) -> Iterator["subprocess.Popen[str]"]:
        """Run ``firstclick generate``; end it if the block fails, else wait for it.

        Raises FirstClickError if it fails.
        """
        command = [
            str(Path(sys.executable).with_name("firstclick")),
            *("generate", "--rate", str(rate), "--duration", str(duration)),
            *("--seed", str(int(rate))),
        ]
        process = subprocess.Popen(
            command,
            env={**os.environ, "FIRSTCLICK_HOME": str(self.stack.home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
                _, complaint = process.communicate()
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            raise FirstClickError(f"the generator failed: {complaint.strip()}")


def used_between(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Return the CPU seconds of each part, without the benchmark's own session."""
    return {
        part: round(seconds - before.get(part, 0.0), 3)
        for part, seconds in after.items()
        if part != "PostgreSQL, bench"
    }


@contextlib.contextmanager
def staged(
    prepare: Callable[[Pipeline], None] | None = None, *, expire: bool = True
) -> Iterator[Stage]:
    """Run a fresh stack in a temporary home while the block runs.

    It ignores server addresses in the environment. ``prepare`` receives the servers
    while they hold nothing but topics. ``expire`` says whether the expire worker runs.
    Raises FirstClickError.
    """
    home = Path(tempfile.mkdtemp(prefix="firstclick-bench-"))
    settings = Settings.load().isolated(home).model_copy(update={"expire": expire})
    try:
        if prepare is not None:
            with stack.up(settings, servers_only=True) as servers:
                prepare(servers.pipeline)
        with (
            stack.up(settings) as started,
            Source(started.pipeline.kafka, "") as source,
        ):
            stage = Stage(started.pipeline, source)
            with stage.database:
                yield stage
    finally:
        shutil.rmtree(home)


def _own_megabytes(pid: int) -> float:
    total = 0
    try:
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            try:
                total += each.memory_full_info().uss
            except psutil.NoSuchProcess:
                continue
    except psutil.NoSuchProcess:
        pass
    return total / 1e6


def _cpu(pid: int, ended_children: bool = False) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    used: float = times.user + times.system
    if ended_children:
        used += times.children_user + times.children_system
    return used
