"""Shows a home's logs to people: the lines of all processes, in order of time."""

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
"""The process whose log lines have no date: they can't be merged with others, so they
are shown only on request.
"""

_POLL_SECONDS = 0.2
_UNKNOWN = datetime.min.replace(tzinfo=UTC)
"""The time of lines before the first dated one; they sort first."""
_DATED = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,]\d{3}) ?"
    r"(?P<zone>Z|UTC|[+-]\d\d:\d\d)? ?(?P<text>.*)"
)


@dataclass(frozen=True)
class Entry:
    """One line of a process's log."""

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
    """Return the processes to show: this one, or all that have a log.

    Raises HomeError if there is no log, or none of that name.
    """
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
    """The logs of some processes, which remembers how far it has read each."""

    def __init__(self, logs: Path, processes: Sequence[str]) -> None:
        self._tails = [_Tail(logs / f"{name}.log") for name in processes]

    def latest(self, most: int) -> list[Entry]:
        """Return the last ``most`` lines of all logs, and mark everything as read."""
        last: list[Entry] = []
        for tail in self._tails:
            lines = deque(chain(tail.before(), tail.new()), maxlen=most)
            last += _entries(tail.name, lines)
        return sorted(last, key=lambda entry: entry.time)[-most:] if most else []

    def follow(self, ended: Callable[[float], bool]) -> Iterator[Entry]:
        """Yield new lines as they are written, until ``ended`` returns true.

        ``ended`` gets the seconds that it should wait before it answers.
        """
        while not ended(_POLL_SECONDS):
            new = [
                entry
                for tail in self._tails
                for entry in _entries(tail.name, tail.new())
            ]
            yield from sorted(new, key=lambda entry: entry.time)


class _Tail:
    """A log file that grows and is rotated."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self._path = path
        self._file: IO[str] | None = None
        self._begun = ""

    def before(self) -> Iterable[str]:
        """Return the lines of the file that was rotated away last."""
        try:
            with _opened(self._path.with_suffix(".log.1")) as file:
                return [line.rstrip("\n") for line in file]
        except FileNotFoundError:
            return []

    def new(self) -> list[str]:
        """Return the lines that were completed since the last call."""
        text = self._begun + self._read()
        if self._was_rotated():
            # The process may have written more between the read and the rotation
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
