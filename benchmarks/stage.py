"""A stack of the benchmark's own, and what can be seen of it from outside."""

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
    """How far the connector is behind Kafka: messages of both topics together."""

    at: float
    """Of ``time.monotonic()``."""
    stored: int
    """Messages that are in PostgreSQL."""
    sent: int
    """Messages that Kafka holds, asked for after the above."""

    @property
    def messages(self) -> int:
        return self.sent - self.stored


class Stage:
    """The stack while a section runs; made by ``staged``."""

    def __init__(self, started: Pipeline, source: Source) -> None:
        self.stack = started
        self.database = self.connect()
        self._home = Home(started.home)
        self._source = source
        self._partitions = source.partitions()

    def connect(self, role: str = "bench") -> psycopg.Connection:
        """A session in autocommit mode, finding the pipeline's relations by name."""
        return psycopg.connect(
            self.stack.database_url,
            autocommit=True,
            application_name=f"firstclick {role}",
            options=f"-c search_path={self.stack.schema_name}",
        )

    def value(self, statement: LiteralString) -> Any:
        """The first column of a query's only row."""
        row = self.database.execute(sql.SQL(statement)).fetchone()
        assert row is not None
        return row[0]

    def lag(self) -> Lag:
        """What Kafka holds and PostgreSQL lacks; never too little."""
        at = time.monotonic()
        stored = self.value(
            "select coalesce(sum(next_offset), 0)::bigint from kafka_offsets"
        )
        marks = self._source.high_watermarks(self._partitions)
        return Lag(at, stored, sum(sum(topic.values()) for topic in marks.values()))

    def drain(self, patience: float = DRAIN_PATIENCE) -> float:
        """Wait until PostgreSQL has what Kafka holds; returns the seconds.

        Raises ServerError where so many seconds won't do.
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
        """What PostgreSQL has written ahead so far."""
        return int(self.value("select pg_current_wal_insert_lsn() - '0/0'"))

    def processes(self) -> dict[str, int]:
        """The pid of each part, which may have ended."""
        state = self._home.state
        assert state is not None
        return {name: child.process.pid for name, child in state.children.items()}

    def megabytes(self, **others: int) -> dict[str, float]:
        """What each part, and other processes by pid, have of memory for themselves.

        PostgreSQL's with all its sessions, and without what they share.
        """
        parts = {**self.processes(), **others}
        return {name: _own_megabytes(pid) for name, pid in parts.items()}

    def cpu_seconds(self, **others: int) -> dict[str, float]:
        """What each part of the stack has used so far, and other processes by pid.

        PostgreSQL's is divided by session; its helpers, autovacuum's workers that
        have ended included, are in ``PostgreSQL, rest``.
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
        """How long the connector's session was ready to run but had no core.

        The kernel's own count; None where it has none (/proc/PID/schedstat).
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
        """Hold the connector's process still while the block runs."""
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
        """``firstclick generate`` as a process, ended where the block ends early.

        Raises FirstClickError where it failed.
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
    """CPU seconds of each part, those of the benchmark's own sessions left out."""
    return {
        part: round(seconds - before.get(part, 0.0), 3)
        for part, seconds in after.items()
        if part != "PostgreSQL, bench"
    }


@contextlib.contextmanager
def staged(
    prepare: Callable[[Pipeline], None] | None = None, *, expire: bool = True
) -> Iterator[Stage]:
    """A fresh stack in a temporary home, for as long as the block runs.

    Addresses in the environment are not used. ``prepare`` gets the servers while
    there is nothing but topics on them. Raises FirstClickError.
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
