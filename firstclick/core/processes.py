"""Starts, identifies and stops the programs that run under the supervisor."""

import contextlib
import logging
import os
import pwd
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

import msgspec
import psutil

from firstclick.core import exec_wrapper
from firstclick.core.errors import ServerError, SettingsError
from firstclick.core.logging import KEPT, LARGEST, Quiet, parsed

_READ_SECONDS = 2.0
"""How long reading the last output of a program that has ended may take."""


class ProcessId(msgspec.Struct, frozen=True, omit_defaults=True):
    """The identity of a process, which a later process with the same pid doesn't share.

    On Linux, that is the boot and the clock ticks from the boot to the start of the
    process: setting the clock changes neither of them.
    """

    pid: int
    boot: str | None = None
    """Linux's boot_id."""
    ticks: int | None = None
    """Clock ticks from the boot to the start of the process."""
    create_time: float | None = None
    """Start of the process in seconds since 1970. Used on systems without /proc, and
    for processes that an earlier version recorded. If somebody sets the clock, this
    changes on Linux, but not on macOS."""

    @classmethod
    def of(cls, pid: int) -> "ProcessId":
        try:
            ticks = _ticks(pid)
            if ticks is not None:
                return cls(pid, _boot(), ticks)
            return cls(pid, create_time=psutil.Process(pid).create_time())
        except psutil.Error:
            return cls(pid)

    def find(self) -> psutil.Process | None:
        """Return the process, or None if it has ended."""
        try:
            process = psutil.Process(self.pid)
            if not self._is(process) or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.Error:
            return None
        return process

    def _is(self, process: psutil.Process) -> bool:
        if self.ticks is not None:
            return (self.boot, self.ticks) == (_boot(), _ticks(self.pid))
        if self.create_time is not None:
            return abs(process.create_time() - self.create_time) < 2
        return False


def _boot() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since the boot; None if unknown."""
    try:
        content = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # Split after the name, which is in parentheses and may contain any byte
    return int(content.rpartition(b")")[2].split()[19])


def end(process: psutil.Process, stop: signal.Signals, timeout: float) -> None:
    """Ask a process to stop, and kill it if it still runs after ``timeout`` seconds."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(stop)
        try:
            process.wait(timeout)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(timeout)


@dataclass(frozen=True)
class Account:
    """The user that a program runs as."""

    name: str
    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> "Account":
        """Return the account of a user.

        Raises SettingsError if the user doesn't exist, or is root.
        """
        try:
            entry = pwd.getpwnam(name)
        except KeyError as error:
            raise SettingsError(
                f"FIRSTCLICK_POSTGRES_USER is {name!r}, expected a user of this "
                "machine: set it to an unprivileged one"
            ) from error
        if entry.pw_uid == 0:
            raise SettingsError(
                f"FIRSTCLICK_POSTGRES_USER is {name!r}, expected another user than "
                "root: PostgreSQL refuses to run as root"
            )
        return cls(name, entry.pw_uid, entry.pw_gid)

    @property
    def ids(self) -> tuple[int, int]:
        """The numeric ids of the user and of its group."""
        return self.uid, self.gid

    def unreachable(self, path: Path) -> Path | None:
        """Return the first directory above ``path`` that the user may not enter.

        None if the user may enter all of them.
        """
        for directory in reversed(path.resolve().parents):
            status = directory.stat()
            if status.st_uid == self.uid:
                allowed = status.st_mode & 0o100
            elif status.st_gid == self.gid:
                allowed = status.st_mode & 0o010
            else:
                allowed = status.st_mode & 0o001
            if not allowed:
                return directory
        return None


@dataclass(frozen=True)
class Command:
    """How to start a program, and how to stop it."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    account: Account | None = None
    stop: signal.Signals = signal.SIGTERM
    patience: float = 10
    """Seconds from ``stop`` to SIGKILL."""
    record: Callable[[str], str] = str
    """Turns a line of the program's output into a line of its log."""

    def guarded(self) -> list[str]:
        who = self.account
        return [
            *(sys.executable, "-I", "-S", exec_wrapper.__file__),
            str(os.getpid()),
            str(int(self.stop)),
            *((str(who.uid), str(who.gid)) if who else ("", "")),
            *self.arguments,
        ]

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run the program to its end, and collect its output."""
        return subprocess.run(
            self.guarded(),
            env=dict(self.environment),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )


@dataclass
class Running:
    """A program that was started, and whose output goes to a rotated file."""

    command: Command
    process: subprocess.Popen[bytes]
    _tail: deque[str] = field(default_factory=lambda: deque(maxlen=50))
    _reader: threading.Thread | None = None

    @classmethod
    def start(cls, name: str, command: Command, logs: Path) -> "Running":
        """Start a program. On Linux, it gets its stop signal when this thread ends.

        Its output goes to NAME.log in ``logs``. Raises ServerError if the program can't
        be started.
        """
        try:
            process = subprocess.Popen(
                command.guarded(),
                env=dict(command.environment),
                cwd=command.directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ServerError(
                # Cause: A program is missing, or the disk doesn't allow programs
                #   (`noexec`).
                # Remedy: Install again, or move the environment to another disk.
                f"{name} could not be started: {error.strerror}: {error.filename}"
            ) from error
        running = cls(command, process)
        assert process.stdout is not None
        running._reader = threading.Thread(
            target=running._collect, args=(process.stdout, name, logs), daemon=True
        )
        running._reader.start()
        return running

    @property
    def id(self) -> ProcessId:
        return ProcessId.of(self.process.pid)

    def last_words(self) -> list[str]:
        """Return the last lines of its output. Call it when the program has ended."""
        assert self._reader is not None
        # Without a limit, this could wait forever: a process that the program started
        # may still run and hold its output open
        self._reader.join(_READ_SECONDS)
        return list(self._tail)

    def unsaid_reason(self) -> str:
        """Return why it ended, for a program whose output doesn't say so."""
        code = self.process.poll()
        if code is not None and code < 0:
            return f"{signal.Signals(-code).name} ended it"
        return "it gave no reason"

    def signal(self) -> None:
        """Send the program its stop signal, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(self.command.stop)

    def stop(self) -> None:
        """Stop the program, with SIGKILL if it takes longer than ``patience``."""
        self.signal()
        try:
            self.process.wait(self.command.patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _collect(self, output: IO[bytes], name: str, logs: Path) -> None:
        handler = RotatingFileHandler(
            logs / f"{name}.log",
            maxBytes=LARGEST,
            backupCount=KEPT,
            errors="replace",
        )
        # If the disk is full, go on reading: otherwise the pipe fills up and the
        # program stops at its next write
        handler.handleError = lambda record: None  # type: ignore[method-assign]
        handler.setFormatter(_As(self.command.record))
        with output, contextlib.closing(Quiet(handler)) as quiet:
            for line in output:
                text = line.decode(errors="replace").rstrip()
                self._tail.append(self.command.record(text))
                # A process that writes records summarizes repeated lines itself
                chosen = quiet if parsed(text) is None else handler
                chosen.handle(
                    logging.LogRecord(name, logging.INFO, "", 0, text, None, None)
                )


class _As(logging.Formatter):
    """Formats a line of output with ``Command.record``."""

    def __init__(self, record: Callable[[str], str]) -> None:
        super().__init__()
        self._record = record

    def format(self, record: logging.LogRecord) -> str:
        return self._record(record.getMessage())
