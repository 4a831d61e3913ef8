"""What processes log: a JSON object a line, or readably where a person looks on.

Each has ``time`` (UTC), ``level``, ``worker``, ``event`` (a sentence), the values in
the event as fields of their own, and ``traceback`` where there is one. The supervisor
keeps its workers' lines in files, LARGEST bytes each and KEPT older ones; its own too.
"""

import logging
import os
import sys
import threading
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

import msgspec
from pythonjsonlogger.msgspec import MsgspecFormatter

LARGEST = 10_000_000
KEPT = 3


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
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
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
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


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
