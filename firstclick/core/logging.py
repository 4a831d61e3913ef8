"""What processes log: a JSON object a line, or readably where a person looks on.

Each has ``time`` (UTC), ``level``, ``worker``, ``event`` (a sentence), the values in
the event as fields of their own, and ``traceback`` where there is one. The supervisor
keeps its workers' lines in files, LARGEST bytes each and KEPT older ones; its own too.

What repeats is logged BURST times within QUIET_SECONDS. After that there is a line for
each such interval: the last of those that were held back, and how many it stands for.
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
KEPT = 3

BURST = 20
QUIET_SECONDS = 10.0
_KINDS = 1000
"""Of lines that are told apart; those beyond are all logged."""

_VARYING = re.compile(r"\d{1,4}([-:.,T ]\d\d){2,}([.,]\d+)?|\d{4,}|0x[0-9a-f]+")
"""What differs between lines that are alike: times, ports, process ids, addresses."""


class Record(msgspec.Struct):
    """A line, as far as every one is alike."""

    time: datetime
    level: str
    worker: str
    event: str
    traceback: str | None = None


def configure(worker: str) -> logging.Logger:
    """Log to stderr from now on, what ends the process or a thread too."""
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
    """Log into a file that is rotated, stderr as well."""
    handler = _Rotated(file, maxBytes=LARGEST, backupCount=KEPT)
    handler.setFormatter(_formatter(worker))
    logging.basicConfig(level=logging.INFO, handlers=[Quiet(handler)], force=True)


@dataclass
class _Repeated:
    """Lines that are alike, within one interval."""

    since: float
    count: int = 1
    held: int = 0
    last: logging.LogRecord | None = None


class Quiet(logging.Handler):
    """Hands on to another handler what does not repeat, and of the rest how much."""

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
        """Log what is held back."""
        with contextlib.ExitStack() as held:
            if self.lock is not None:
                held.enter_context(self.lock)
            for repeated in self._repeated.values():
                if repeated.last is not None:
                    self._say(repeated.last, repeated.held)
                    # One that goes on has no burst again
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
        # Else what isn't logged would go on filling the file that was rotated away
        os.dup2(stream.fileno(), 2)
        return stream


def _formatter(worker: str) -> logging.Formatter:
    return MsgspecFormatter(
        ["levelname", "message"],
        # These come first in the line, whatever is filled in later
        defaults={"time": None, "level": None, "worker": worker},
        rename_fields={
            "levelname": "level",
            "message": "event",
            "exc_info": "traceback",
        },
        timestamp="time",
    )


def as_record(worker: str, line: str) -> str:
    """Make a record of a line that something else than logging has written."""
    if parsed(line) is not None:
        return line
    record = Record(datetime.now(UTC), "ERROR", worker, line)
    return msgspec.json.encode(record).decode()


def parsed(line: str) -> Record | None:
    """Return the record of a line, or None where it is none."""
    try:
        return msgspec.json.decode(line, type=Record)
    except msgspec.DecodeError:
        return None
