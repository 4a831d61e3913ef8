"""The kinds of faults.

The function of a fault inflicts it, waits until it is over, and returns ``Done``: the
moment, by ``time.monotonic()``, from which nothing hinders the pipeline's recovery, and
a description of what happened.
"""

import os
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

import topic_changes
from faults.clock import NoClockError
from faults.site import PROCESSES, Site
from firstclick.servers.roles import role_of
from harness import EVENTS

STILL_SECONDS = 10.0
FULL_SECONDS = 3.0

BACKLOG_SECONDS = 3.0
"""How long the connector is stopped, so that its next COPY has thousands of rows."""

CHANGED_SECONDS = 5.0

STEP_SECONDS = 60
STEPPED_SECONDS = 3.0
"""How long the clock stays wrong by ``STEP_SECONDS``."""

SETTINGS = {
    "client_encoding": "latin1",
    "DateStyle": "German",
    "IntervalStyle": "sql_standard",
    "TimeZone": "America/Los_Angeles",
    "bytea_output": "escape",
    "array_nulls": "off",
    "standard_conforming_strings": "off",
    "search_path": "nonsense",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "statement_timeout": "5ms",
    "idle_session_timeout": "100ms",
}
"""Settings each of which could stop a worker or change what it writes."""

SHELL = {
    "http_proxy": "http://127.0.0.1:9",
    "PGSERVICE": "nowhere",
    "PGHOSTADDR": "127.0.0.9",
    "PGOPTIONS": "-c default_transaction_read_only=on",
    "PGTARGETSESSIONATTRS": "standby",
    "DBT_FULL_REFRESH": "true",
    "DBT_EMPTY": "true",
    "DBT_PROFILE": "another",
    "PYTHONPATH": "/nonexistent",
    "LC_ALL": "de_DE.ISO-8859-1",
    "TZ": "America/Los_Angeles",
}

_WORKERS = [f"firstclick {worker}" for worker in ("connector", "publisher")]

_ATTEMPTS = 20

_LOG_SOMETHING = (
    "select pg_logical_emit_message(false, 'faults', repeat('x', 10000000))"
)
_LOGGED = 400
"""How often to log at most: 4 GB, more than PostgreSQL's WAL keeps (max_wal_size)."""

_NAMES = {"kafka": "Kafka", "postgres": "PostgreSQL"}


@dataclass(frozen=True)
class Done:
    """When a fault was over, and what to report about it."""

    at: float
    seen: str


@dataclass(frozen=True)
class Fault:
    """A kind of fault."""

    name: str
    inflict: Callable[[Site], Done]
    kills: int = 0
    needs: str = ""
    """What the fault needs and some machines lack: `disks`, `clock` or nothing."""


def killed(name: str) -> Fault:
    return Fault(f"SIGKILL of {_named(name)}", partial(_kill, names=(name,)), kills=1)


def two_killed() -> Fault:
    return Fault("SIGKILL of two at once", _kill_two, kills=2)


def killed_at_start() -> Fault:
    return Fault("SIGKILL during start", _kill_at_start, kills=1)


def killed_again(name: str) -> Fault:
    return Fault(
        f"SIGKILL of {_named(name)} and of its successor",
        partial(_kill_again, name=name),
        kills=2,
    )


def stopped(name: str) -> Fault:
    return Fault(
        f"SIGSTOP of {_named(name)} for {STILL_SECONDS:.0f} s",
        partial(_stand_still, name=name),
    )


def one_stopped() -> Fault:
    return Fault(
        f"SIGSTOP of one for {STILL_SECONDS:.0f} s",
        _one_stands_still,
    )


def copy_cut() -> Fault:
    return Fault("connection cut in the middle of COPY", _cut_copy)


def full_disk(name: str) -> Fault:
    return Fault(
        f"full disk under {_named(name)}",
        partial(_fill_disk, name=name),
        needs="disks",
    )


def full_log_disk() -> Fault:
    return Fault(
        "full disk under PostgreSQL, no room for its log either",
        _fill_log_disk,
        needs="disks",
    )


def settings_changed() -> Fault:
    return Fault("settings of the database changed", _change_settings)


def another_shell() -> Fault:
    return Fault("stack started again from a hostile shell", _start_from_another_shell)


def partitions_added() -> Fault:
    return Fault("partitions added", _add_partitions)


def checkouts_created_again() -> Fault:
    return Fault("topic checkouts created again", _create_checkouts_again)


def records_deleted() -> Fault:
    return Fault("records deleted unread", _delete_records)


def clock_stepped() -> Fault:
    return Fault(
        f"clock of the workers steps by {STEP_SECONDS} s", _step_clock, needs="clock"
    )


def _add_partitions(site: Site) -> Done:
    topic = site.random.choice(EVENTS)
    count = len(site.pipeline.ends(topic)) + site.random.randint(1, 2)
    topic_changes.add_partitions(site.admin, site.named(topic), count)
    return Done(time.monotonic(), f"{topic} has {count}")


def _create_checkouts_again(site: Site) -> Done:
    with site.pipeline.replacing("checkouts"):
        topic_changes.create_topic_again(site.admin, site.named("checkouts"))
    return Done(time.monotonic(), "")


def _delete_records(site: Site) -> Done:
    """Delete records that the connector hasn't stored while it is stopped.

    Then the connector is either resumed or killed, and its successor goes on. A resumed
    one may have read some of these messages before it stopped, and stores them. So in
    each partition the lost messages are the last ones before the first remaining
    offset: as many as the pipeline counts, and no more than were not stored.
    """
    topic = site.random.choice(EVENTS)
    counted = _lost(site, topic)
    is_killed = site.random.random() < 0.5
    connector = site.process("connector")
    with ExitStack() as resumed:
        _suspend(connector, resumed)
        site.pipeline.eventually(lambda: _is_still(site), "no transaction at work")
        time.sleep(BACKLOG_SECONDS)
        stored = _next_offsets(site, topic)
        before = {
            number: site.random.randint(stored.get(number, 0), end)
            for number, end in site.pipeline.ends(topic).items()
        }
        # The harness reads and remembers the messages until we know which are lost
        site.pipeline.messages()
        topic_changes.delete_records(site.admin, site.named(topic), before)
        if is_killed:
            connector.kill()
    at = time.monotonic()
    site.pipeline.eventually(
        lambda: all(
            offset >= before[number]
            for number, offset in _next_offsets(site, topic).items()
            if number in before
        ),
        "the connector behind what was deleted",
    )
    lost = {
        number: range(before[number] - count + counted.get(number, 0), before[number])
        for number, count in _lost(site, topic).items()
        if number in before
    }
    for number, gone in lost.items():
        unread = before[number] - stored.get(number, 0)
        if len(gone) > unread or (is_killed and len(gone) < unread):
            raise AssertionError(
                f"{len(gone)} messages of {topic} {number} are counted as lost, "
                f"expected {'' if is_killed else 'at most '}{unread}"
            )
    site.pipeline.forget(topic, lost)
    count = sum(map(len, lost.values()))
    site.deleted_unread += count
    end = "killed" if is_killed else "resumed"
    return Done(at, f"{count:,} of {topic} gone, the connector {end}")


def _is_still(site: Site) -> bool:
    """Tell whether PostgreSQL has finished the connector's last statement."""
    with site.superuser() as session:
        return not session.execute(
            "select from pg_stat_activity"
            " where application_name = 'firstclick connector' and state = 'active'"
            " and wait_event is distinct from 'ClientRead'"
        ).fetchall()


def _next_offsets(site: Site, topic: str) -> dict[int, int]:
    return dict(
        site.pipeline.execute(
            "select kafka_partition, next_offset from {schema}.kafka_offsets"
            " where topic = %s",
            [topic],
        )
    )


def _lost(site: Site, topic: str) -> dict[int, int]:
    return dict(
        site.pipeline.execute(
            "select kafka_partition, coalesce(lost_messages, 0)"
            " from {schema}.kafka_offsets where topic = %s",
            [topic],
        )
    )


def _change_settings(site: Site) -> Done:
    """Change the database's settings, and end the workers' sessions to apply them."""
    database = sql.Identifier(site.database)
    with site.superuser() as session:
        try:
            for name, value in SETTINGS.items():
                session.execute(
                    sql.SQL("alter database {} set {} to {}").format(
                        database, sql.Identifier(name), value
                    )
                )
            (ended,) = session.execute(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where application_name = any(%s)",
                [_WORKERS],
            ).fetchall()
            site.pipeline.eventually(
                lambda: (
                    session.execute(
                        "select count(distinct application_name) = %s"
                        " from pg_stat_activity where application_name = any(%s)",
                        [len(_WORKERS), _WORKERS],
                    ).fetchone()
                    == (True,)
                ),
                "the workers are back",
            )
            time.sleep(CHANGED_SECONDS)
            at = time.monotonic()
        finally:
            session.execute(sql.SQL("alter database {} reset all").format(database))
    return Done(at, f"{ended[0]} sessions started again")


def _start_from_another_shell(site: Site) -> Done:
    failure = _start_again(site, SHELL)
    at = time.monotonic()
    return Done(at, f"failed ({failure})" if failure else "came up")


def _start_again(site: Site, shell: Mapping[str, str]) -> str:
    """Restart the stack from a shell with these variables; return why that failed."""
    site.stop()
    before = os.environ.copy()
    os.environ.update(shell)
    try:
        return site.start()
    finally:
        os.environ.clear()
        os.environ.update(before)


def _step_clock(site: Site) -> Done:
    """Step the clock back, forth and right again, for the supervisor and the workers.

    The servers' clocks stay right: the supervisor gives the servers an environment
    without LD_PRELOAD.
    """
    assert site.clock is not None
    library = str(site.clock.library)
    _start_again(site, {"LD_PRELOAD": library})
    before = {name: site.process(name) for name in PROCESSES}
    for name in ("connector", "publisher"):
        if library not in {each.path for each in before[name].memory_maps()}:
            raise NoClockError(f"the {name} runs without {library}")
    try:
        for seconds in (-STEP_SECONDS, STEP_SECONDS):
            site.clock.step(seconds)
            time.sleep(STEPPED_SECONDS)
            site.pipeline.eventually(site.is_healthy, "a healthy status all the same")
    finally:
        site.clock.step(0)
    at = time.monotonic()
    ended = [name for name, process in before.items() if site.process(name) != process]
    return Done(at, f"{', '.join(ended) or 'no process'} started again")


def _named(name: str) -> str:
    return _NAMES.get(name, f"the {name}")


def _kill(site: Site, names: tuple[str, ...]) -> Done:
    at = time.monotonic()
    site.kill(*names)
    return Done(at, " and ".join(map(_named, names)) if len(names) > 1 else "")


def _kill_two(site: Site) -> Done:
    return _kill(site, tuple(site.random.sample(PROCESSES, 2)))


def _kill_again(site: Site, name: str) -> Done:
    """Kill a process, then its successor at a random moment of its start."""
    site.kill(name)
    delay = site.random.uniform(0, 1)
    time.sleep(delay)
    at = time.monotonic()
    site.kill(name)
    return Done(at, f"the second {delay:.2f} s after it had begun")


def _kill_at_start(site: Site) -> Done:
    """Kill a process while the stack starts; if the stack fails, start it again."""
    name = site.random.choice(PROCESSES)
    delay = site.random.uniform(0, 1)
    last = site.process(name)
    site.stop()

    def kill_beginner() -> float:
        beginner = site.successor(name, last)
        time.sleep(delay)
        at = time.monotonic()
        beginner.kill()
        return at

    # The stack ends with the thread that starts it, so this thread starts it
    with ThreadPoolExecutor(1) as pool:
        killer = pool.submit(kill_beginner)
        failure = site.start()
        at = killer.result()
    outcome = f"failed ({failure}) and started again" if failure else "came up"
    return Done(at, f"{_named(name)} {delay:.2f} s after it had begun; {outcome}")


def _stand_still(site: Site, name: str) -> Done:
    process = site.process(name)
    with ExitStack() as resumed:
        _suspend(process, resumed)
        # For example PostgreSQL's sessions: a stopped parent starts no new ones
        for child in process.children(recursive=True):
            _suspend(child, resumed)
        time.sleep(STILL_SECONDS)
    return Done(time.monotonic(), "")


def _one_stands_still(site: Site) -> Done:
    name = site.random.choice(PROCESSES)
    return Done(_stand_still(site, name).at, _named(name))


def _suspend(process: psutil.Process, resumed: ExitStack) -> None:
    """Stop a process (SIGSTOP) until ``resumed`` closes, unless it has ended."""
    with suppress(psutil.NoSuchProcess):
        process.suspend()
        resumed.callback(_resume, process)


def _resume(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.resume()


def _cut_copy(site: Site) -> Done:
    """Terminate the connector's session in PostgreSQL in the middle of a COPY.

    PostgreSQL's log proves it, because it names the row at which the COPY ended. If the
    session was doing something else, such as firing the triggers after the last row,
    this function tries again.
    """
    log = site.log("postgres")
    for _ in range(_ATTEMPTS):
        start = log.stat().st_size
        with ExitStack() as resumed:
            _suspend(site.process("connector"), resumed)
            time.sleep(BACKLOG_SECONDS)
        session = _end_copying_session(site)
        at = time.monotonic()
        text = site.pipeline.eventually(
            partial(_said_by, session, log, start), "PostgreSQL's log of the end"
        )
        if place := re.search(r"CONTEXT:  (COPY raw_\w+, line \d+)", text):
            return Done(at, place[1])
    raise TimeoutError(f"no COPY was hit in {_ATTEMPTS} attempts")


def _end_copying_session(site: Site) -> int:
    """Wait for a session that copies and terminate it; return its process id."""
    deadline = time.monotonic() + site.pipeline.patience
    stack = site.pipeline.stack
    with psycopg.connect(stack.database_url, autocommit=True) as watcher:
        # Only a member of the role sees its sessions' progress and may terminate them
        role = sql.Identifier(role_of("connector", stack.schema_name))
        watcher.execute(sql.SQL("grant {} to current_user").format(role))
        # Poll without a pause: a COPY takes only milliseconds
        while time.monotonic() < deadline:
            ended = watcher.execute(
                "select pid, pg_terminate_backend(pid) from pg_stat_progress_copy"
                " where tuples_processed > 100"
            ).fetchone()
            if ended is not None:
                return int(ended[0])
    raise TimeoutError(f"no COPY within {site.pipeline.patience:.0f} s")


def _said_by(session: int, log: Path, start: int) -> str:
    """Return what a session has logged, or nothing while the entry is incomplete."""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    said = [line for line in lines if f" [{session}] " in line]
    return "\n".join(said) if any("STATEMENT:" in line for line in said) else ""


def _fill_disk(site: Site, name: str) -> Done:
    disk, lacks_room = site.disks[name], _awaited(site, name, "No space left on device")
    disk.fill()
    try:
        lacks_room()
        time.sleep(FULL_SECONDS)
    finally:
        disk.make_room()
    return Done(time.monotonic(), "")


def _fill_log_disk(site: Site) -> Done:
    """Fill PostgreSQL's disk and then its write-ahead log, so that it panics."""
    disk, panics = site.disks["postgres"], _awaited(site, "postgres", "PANIC:")
    # Connect first: with a full disk PostgreSQL may refuse new sessions
    with psycopg.connect(site.pipeline.stack.database_url, autocommit=True) as session:
        session.execute(_LOG_SOMETHING)
        disk.fill()
        try:
            with suppress(psycopg.OperationalError):
                for _ in range(_LOGGED):
                    session.execute(_LOG_SOMETHING)
            panics()
            time.sleep(FULL_SECONDS)
        finally:
            disk.make_room()
    return Done(time.monotonic(), "it panicked")


def _awaited(site: Site, name: str, words: str) -> Callable[[], object]:
    """Return a function that waits until a process logs these words after this call."""
    log = site.log(name)
    start = log.stat().st_size
    return partial(
        site.pipeline.eventually,
        lambda: words.encode() in log.read_bytes()[start:],
        f"{name} logs {words!r}",
    )
