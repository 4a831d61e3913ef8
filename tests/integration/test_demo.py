"""The demo as you run it: in a terminal, and into a pipe."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, LiteralString

import psutil
import psycopg
import pytest
from psycopg import sql

from firstclick.core.pipeline import Pipeline, find
from firstclick.core.processes import ProcessId
from firstclick.operate import stack as stacks

COMMAND = [sys.executable, "-c", "from firstclick.cli import main; main()", "demo"]

# The process controls its terminal, so that Ctrl-C reaches it
IN_TERMINAL = [
    *(sys.executable, "-c"),
    "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "from firstclick.cli import main; main()",
    "demo",
]


def _environment(home: Path, **variables: str) -> dict[str, str]:
    return {**os.environ, "FIRSTCLICK_HOME": str(home), **variables}


def _start(home: Path, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=_environment(home, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _processes(pid: int) -> list[ProcessId]:
    children = psutil.Process(pid).children(recursive=True)
    return [ProcessId.of(child.pid) for child in children]


def _survivors(processes: list[ProcessId]) -> list[psutil.Process]:
    return [process for each in processes if (process := each.find())]


def _counts(stack: Pipeline) -> Any:
    """Return the database's time and the numbers of accepted and rejected events."""
    return _row(
        stack,
        "select now(), sum(accepted)::bigint, sum(rejected)::bigint "
        "from pipeline_health",
    )


def _checkouts(stack: Pipeline, hour_ends: datetime) -> Any:
    """Count the checkouts since an hour before that time, and the attributed ones."""
    return _row(
        stack,
        "select count(*), count(click_id) from checkouts "
        "where payment_status = 'success' and purchase_time > %s - interval '1 hour'",
        hour_ends,
    )


def _row(stack: Pipeline, query: LiteralString, *values: object) -> Any:
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(
            sql.SQL("set search_path to {}").format(sql.Identifier(stack.schema_name))
        )
        return connection.execute(query, values).fetchone()


def _numbers(pattern: str, line: str) -> list[int]:
    found = re.fullmatch(pattern.replace("#", r"([\d,]+)"), line)
    assert found, line
    return [int(number.replace(",", "")) for number in found.groups()]


def test_into_a_pipe_it_writes_plain_lines_whose_totals_are_the_databases(
    stack: Pipeline,
) -> None:
    began, *before = _counts(stack)
    with _start(stack.home, "--duration", "6", "--rate", "200") as process:
        output, errors = process.communicate(timeout=120)
    ended, *after = _counts(stack)
    assert (process.returncode, errors) == (0, "")
    assert [c for c in output if not c.isprintable() and c != "\n"] == []
    lines = output.splitlines()
    assert any(
        re.match(" +[5-9] s  .* events in, .* freshness p50", li) for li in lines
    )
    messages, accepted, rejected, attributed, checkouts = _numbers(
        r"Totals: # messages in [\d.]+ s: # accepted, # rejected; # of # checkouts "
        r"of the last hour attributed; freshness p50 [\d.]+ m?s, p99 [\d.]+ m?s",
        lines[-1],
    )
    assert (accepted, rejected) == (after[0] - before[0], after[1] - before[1])
    # The demo queried the last hour at a moment between these two, without new events
    # since
    most, least = _checkouts(stack, began), _checkouts(stack, ended)
    assert least[0] <= checkouts <= most[0]
    assert least[1] <= attributed <= most[1]
    assert 0 < accepted + rejected <= messages
    for name in ("Which source earns?", "Categories", "Payment failures", "Customers"):
        assert name in output


def test_a_stack_that_was_up_is_used_and_stays_up(stack: Pipeline) -> None:
    with _start(stack.home, "--rate", "100") as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("Uses what is up in") for line in lines)
        assert any(line.startswith("Generator at 100 events/s") for line in lines)
        processes = _processes(process.pid)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert output.splitlines()[-1].startswith("Totals: ")
    assert processes and _survivors(processes) == []
    state = find(stack.home)
    assert state is not None and state.phase == "ready"


@pytest.mark.parametrize("option", ["--rate", "--duration"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
def test_a_mistake_is_told_before_anything_starts(
    tmp_path: Path, option: str, value: str
) -> None:
    with _start(tmp_path / "home", option, value) as process:
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    assert errors.startswith(f"firstclick: {option} is ")
    assert not (tmp_path / "home").exists()


def test_a_start_that_fails_is_one_line_and_leaves_nothing(
    make_home: Callable[[], Path],
) -> None:
    home = make_home()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with _start(home, FIRSTCLICK_KAFKA_PORT=port) as process:
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1
    assert f"port {port} is taken" in errors
    assert find(home) is None
    assert not stacks.down(home)


class Terminal:
    """A terminal in which the demo runs, and the text that it wrote there."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        self._written = ""
        self._more = threading.Condition()
        self.resize(80, 24)
        environment = _environment(home, TERM="xterm-256color", PYTHONUTF8="1")
        # These variables would override the real size, which the test changes
        for size in ("COLUMNS", "LINES"):
            environment.pop(size, None)
        self.process = subprocess.Popen(
            [*IN_TERMINAL, *arguments],
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def resize(self, width: int, height: int) -> None:
        size = struct.pack("4H", height, width, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str, timeout: float = 120) -> None:
        """Wait until the demo writes this text after this call."""
        with self._more:
            start = len(self._written)
            assert self._more.wait_for(
                lambda: text in self._written[start:], timeout
            ), self._written[-3000:]

    def end(self) -> str:
        """Wait for the demo to end; return everything that it wrote."""
        self.process.wait(60)
        self._reader.join(10)
        os.close(self._master)
        return self._written

    def _read(self) -> None:
        # On Linux, reading fails when the other end of the terminal is closed
        with contextlib.suppress(OSError):
            while data := os.read(self._master, 65536):
                with self._more:
                    self._written += data.decode(errors="replace")
                    self._more.notify_all()


@pytest.fixture
def terminal(make_home: Callable[[], Path]) -> Iterator[Terminal]:
    terminal = Terminal(make_home(), "--rate", "200")
    yield terminal
    if terminal.process.poll() is None:
        terminal.process.terminate()
        terminal.process.wait(60)


def test_in_a_terminal_the_view_goes_on_whatever_happens_and_ends_at_ctrl_c(
    terminal: Terminal,
) -> None:
    terminal.wait_for("Which source earns?")
    processes = _processes(terminal.process.pid)
    postgres = next(
        process
        for each in processes
        if (process := each.find()) and "postgres" in process.name()
    )
    terminal.resize(160, 50)
    terminal.wait_for("Revenue by the minute")
    postgres.kill()
    terminal.wait_for("is away, since")
    terminal.wait_for("first-click attribution, live")
    processes += _processes(terminal.process.pid)
    terminal.type("\x03")
    written = terminal.end()
    assert terminal.process.returncode == 0
    assert _survivors(processes) == []
    for step in ("PostgreSQL", "Kafka", "Topics", "Models", "Connector", "Publisher"):
        assert re.search(rf"{step} .* +\d+\.\d s\r\n", written), step
    last = written[written.rindex("\x1b[?1049l") :]
    assert "First attributed checkout on screen" in last
    assert re.search(r"Totals: .*freshness p50 .*\r\n$", last)
    assert last.count("\x1b[?25l") <= last.count("\x1b[?25h")
