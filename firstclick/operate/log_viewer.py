"""The logs of a home as people read them: every process's lines, in order of time."""

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import IO

from firstclick.core.errors import HomeError
from firstclick.core.logging import parsed
from firstclick.core.printable import printable

UNDATED = "dbt"
"""Its lines have no date, so they are shown alone."""

_POLL_SECONDS = 0.2
_UNKNOWN = datetime.min.replace(tzinfo=UTC)
_DATED = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,]\d{3}) ?"
    r"(?P<zone>Z|UTC|[+-]\d\d:\d\d)? ?(?P<text>.*)"
)


@dataclass(frozen=True)
class Entry:
    """A line of a process's log."""

    time: datetime
    process: str
    level: str
    text: str

    def __str__(self) -> str:
        when = ""
        if self.time != _UNKNOWN:
            when = f"{self.time:%Y-%m-%d %H:%M:%S}.{self.time.microsecond // 1000:03}"
        return f"{when:<23}  {self.process:<10} {self.level:<8} {printable(self.text)}"


def choose(logs: Path, name: str | None) -> list[str]:
    """The processes to be shown: this one, or all. Raises HomeError where none is."""
    found = sorted(file.stem for file in logs.glob("*.log"))
    if not found:
        raise HomeError(
            f"{logs} has no logs, expected those of a stack: start it with "
            "`firstclick up`"
        )
    if name is None:
        return [each for each in found if each != UNDATED]
    if name not in found:
        raise HomeError(
            f"{logs} has no log of {name!r}, expected one of {', '.join(found)}: "
            "name one of them"
        )
    return [name]


class LogViewer:
    """Logs that may be followed: what was read is not read again."""

    def __init__(self, logs: Path, processes: Sequence[str]) -> None:
        self._tails = [_Tail(logs / f"{name}.log") for name in processes]

    def latest(self, most: int) -> list[Entry]:
        """The last lines, so many in all, and everything counts as read."""
        last: list[Entry] = []
        for tail in self._tails:
            lines = deque(chain(tail.before(), tail.new()), maxlen=most)
            last += _entries(tail.name, lines)
        return sorted(last, key=lambda entry: entry.time)[-most:] if most else []

    def follow(self, ended: Callable[[float], bool]) -> Iterator[Entry]:
        """Yield what is added, until ``ended``, which waits so many seconds."""
        while not ended(_POLL_SECONDS):
            new = [
                entry
                for tail in self._tails
                for entry in _entries(tail.name, tail.new())
            ]
            yield from sorted(new, key=lambda entry: entry.time)


class _Tail:
    """A file that is added to, and rotated."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self._path = path
        self._file: IO[str] | None = None
        self._begun = ""

    def before(self) -> Iterable[str]:
        """The lines of the file that was rotated away last."""
        try:
            with _opened(self._path.with_suffix(".log.1")) as file:
                return [line.rstrip("\n") for line in file]
        except FileNotFoundError:
            return []

    def new(self) -> list[str]:
        """The lines that were completed since the last time."""
        text = self._begun + self._read()
        if self._was_rotated():
            # Between those two there may have been more
            text += self._read()
            self._close()
            text += self._read()
        *lines, self._begun = text.split("\n")
        return lines

    def _read(self) -> str:
        if self._file is None:
            try:
                self._file = _opened(self._path)
            except FileNotFoundError:
                return ""
        return self._file.read()

    def _was_rotated(self) -> bool:
        if self._file is None or not self._path.exists():
            return False
        return not os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _opened(path: Path) -> IO[str]:
    return path.open(encoding="utf-8", errors="replace", newline="\n")


def _entries(name: str, lines: Iterable[str]) -> Iterator[Entry]:
    time = _UNKNOWN
    for line in lines:
        record = parsed(line)
        if record is not None:
            time = record.time
            yield Entry(time, record.worker, record.level, record.event)
            for more in (record.traceback or "").splitlines():
                yield Entry(time, record.worker, "", more)
            continue
        dated = _DATED.match(line)
        if dated is not None:
            time = _time(dated["time"], dated["zone"])
        yield Entry(time, name, "", dated["text"] if dated else line)


def _time(text: str, zone: str | None) -> datetime:
    offset = zone if zone and zone[0] in "+-" else "+00:00"
    return datetime.fromisoformat(text.replace(",", ".") + offset).astimezone(UTC)
