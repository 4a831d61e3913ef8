"""Logging: one JSON object per line, or readable text on a terminal.

Each object has ``time`` (UTC), ``level``, ``worker``, ``event`` (a sentence), the
values in the event as fields of their own, and ``traceback`` if there is one. The
supervisor writes its own log and its workers' logs to files of at most LARGEST bytes,
and keeps KEPT older ones. For example::

    {"time": "2026-11-23T18:04:05.123+00:00", "level": "INFO", "worker": "publisher",
     "event": "1200 messages in 60 s", "messages": 1200, "seconds": 60.0}

Similar lines are logged BURST times within QUIET_SECONDS. After that, each such
interval gets one line: the last of the lines held back, and how many it represents.
"""

import contextlib
import logging
import os
import re
import sys
import threading
import time
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

import msgspec
from pythonjsonlogger.msgspec import MsgspecFormatter

LARGEST = 10_000_000
"""The size in bytes at which a log file is rotated."""
KEPT = 3
"""How many rotated files are kept beside the current one."""

BURST = 20
"""How many similar lines are logged before the rest is held back."""
QUIET_SECONDS = 10.0
"""The interval in which similar lines are counted."""
_KINDS = 1000
"""How many kinds of lines are counted, which bounds memory. All others are logged."""

_VARYING = re.compile(r"\d{1,4}([-:.,T ]\d\d){2,}([.,]\d+)?|\d{4,}|0x[0-9a-f]+")
"""The parts in which similar lines may differ: times, ports, process ids, addresses."""


class Record(msgspec.Struct):
    """The fields that every line of a log has."""

    time: datetime
    level: str
    worker: str
    event: str
    traceback: str | None = None


def configure(worker: str) -> logging.Logger:
    """Log to stderr, including exceptions that end the process or a thread.

    Returns the worker's logger. The lines are readable text on a terminal, else JSON.
    """
    handler = logging.StreamHandler()
    readable = logging.Formatter(f"%(asctime)s %(levelname)s {worker}: %(message)s")
    handler.setFormatter(readable if sys.stderr.isatty() else _formatter(worker))
    logging.basicConfig(level=logging.INFO, handlers=[Quiet(handler)], force=True)
    log = logging.getLogger(worker)

    def note(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        text = " ".join(str(error).split())
        log.critical("%s: %s", kind.__name__, text, exc_info=(kind, error, trace))

    def note_of_thread(ended: threading.ExceptHookArgs) -> None:
        assert ended.exc_value is not None
        note(ended.exc_type, ended.exc_value, ended.exc_traceback)

    sys.excepthook = note
    threading.excepthook = note_of_thread
    return log


def log_into(file: Path, worker: str) -> None:
    """Log to a rotated file, and redirect stderr to it."""
    handler = _Rotated(file, maxBytes=LARGEST, backupCount=KEPT)
    handler.setFormatter(_formatter(worker))
    logging.basicConfig(level=logging.INFO, handlers=[Quiet(handler)], force=True)


@dataclass
class _Repeated:
    """Similar lines within one interval."""

    since: float
    count: int = 1
    held: int = 0
    last: logging.LogRecord | None = None


class Quiet(logging.Handler):
    """Passes log records to another handler, and summarizes those that repeat."""

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self._target = target
        self._repeated: dict[str, _Repeated] = {}
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        kind = f"{record.levelno} {_VARYING.sub('#', record.getMessage())}"
        repeated = self._repeated.get(kind)
        if repeated is None or self._is_over(repeated, now):
            if len(self._repeated) >= _KINDS:
                self._forget(now)
            if len(self._repeated) < _KINDS:
                self._repeated[kind] = _Repeated(now)
            self._target.handle(record)
            return
        repeated.count += 1
        if repeated.count <= BURST:
            self._target.handle(record)
            return
        repeated.held += 1
        repeated.last = record
        if self._timer is None:
            self._timer = threading.Timer(QUIET_SECONDS, self._tell)
            self._timer.daemon = True
            self._timer.start()

    def flush(self) -> None:
        """Log the records held back so far."""
        with contextlib.ExitStack() as held:
            if self.lock is not None:
                held.enter_context(self.lock)
            for repeated in self._repeated.values():
                if repeated.last is not None:
                    self._say(repeated.last, repeated.held)
                    # If the repetition goes on, no second burst is allowed
                    repeated.since, repeated.count = time.monotonic(), BURST
                    repeated.held, repeated.last = 0, None
        self._target.flush()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.flush()
        self._target.close()
        super().close()

    def _tell(self) -> None:
        with contextlib.ExitStack() as held:
            if self.lock is not None:
                held.enter_context(self.lock)
            self._timer = None
        self.flush()

    def _say(self, last: logging.LogRecord, count: int) -> None:
        said = copy(last)
        said.msg, said.args = last.getMessage(), None
        if count > 1:
            said.msg += f" (the last of {count:,} like it)"
            said.repeated = count
        self._target.handle(said)

    def _forget(self, now: float) -> None:
        over = [kind for kind, one in self._repeated.items() if self._is_over(one, now)]
        for kind in over:
            del self._repeated[kind]

    @staticmethod
    def _is_over(repeated: _Repeated, now: float) -> bool:
        return repeated.last is None and now - repeated.since >= QUIET_SECONDS


class _Rotated(RotatingFileHandler):
    def _open(self):  # type: ignore[no-untyped-def]
        stream = super()._open()
        # Otherwise, output that bypasses logging would still go to the rotated file
        os.dup2(stream.fileno(), 2)
        return stream


def _formatter(worker: str) -> logging.Formatter:
    return MsgspecFormatter(
        ["levelname", "message"],
        # Declares the order: these come first in the line. The values are set later
        defaults={"time": None, "level": None, "worker": worker},
        rename_fields={
            "levelname": "level",
            "message": "event",
            "exc_info": "traceback",
        },
        timestamp="time",
    )


def as_record(worker: str, line: str) -> str:
    """Return a line of output as a JSON record.

    A line that already is a record stays the same. Any other line, such as a warning
    of a library, becomes a record of level ERROR.
    """
    if parsed(line) is not None:
        return line
    record = Record(datetime.now(UTC), "ERROR", worker, line)
    return msgspec.json.encode(record).decode()


def parsed(line: str) -> Record | None:
    """Return the record in a line, or None if the line isn't a record."""
    try:
        return msgspec.json.decode(line, type=Record)
    except msgspec.DecodeError:
        return None
