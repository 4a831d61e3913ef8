"""Where the demo shows itself: a terminal, or lines for a file or a pipe."""

import contextlib
import os
import sys
import termios
import time
from collections.abc import Iterator
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from firstclick.demo.view import Frame, Lines, latency, pace, summary, view
from firstclick.demo.watch import Snapshot

_LINE_SECONDS = 5.0
"""Time between two lines of progress in a file or a pipe."""
_WIDTH = 100
"""The most columns that the final report fills."""


class Display(Protocol):
    """Something that shows the demo's progress."""

    def say(self, text: str) -> None:
        """Print a text that stays."""

    def busy(self, text: str) -> contextlib.AbstractContextManager[None]:
        """Show a text while the block runs, which takes time."""

    def live(self, frame: Frame) -> contextlib.AbstractContextManager[None]:
        """Prepare for ``show``, for as long as the block runs."""

    def show(self, snapshot: Snapshot) -> None:
        """Show the current state. Called about four times a second."""

    def report(self, snapshot: Snapshot) -> None:
        """Print the insights, to stay."""


def display() -> Display:
    """Return the display that suits stdout."""
    if sys.stdout.isatty() and os.environ.get("TERM") not in (None, "dumb", "unknown"):
        return Terminal(Console(highlight=False))
    return Plain(sys.stdout)


class Terminal:
    """A view that fills the whole terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._frame: Frame | None = None
        self._live: Live | None = None

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def busy(self, text: str) -> Iterator[None]:
        spinner = "line" if self._is_ascii else "dots"
        with self._console.status(Text(text, "dim"), spinner=spinner):
            yield

    @contextlib.contextmanager
    def live(self, frame: Frame) -> Iterator[None]:
        self._frame = Frame(
            frame.address, frame.rate, frame.duration, ascii_only=self._is_ascii
        )
        with (
            _no_echo(),
            Live(console=self._console, screen=True, auto_refresh=False) as live,
        ):
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def show(self, snapshot: Snapshot) -> None:
        if self._live is not None and self._frame is not None:
            width, height = self._console.size
            lines = view(snapshot, self._frame, width, height)
            self._live.update(group(lines), refresh=True)

    def report(self, snapshot: Snapshot) -> None:
        if snapshot.answers is not None:
            width = min(self._console.width, _WIDTH)
            lines = summary(snapshot.answers, width, ascii_only=self._is_ascii)
            self._console.print(group([Text(), *lines, Text()]))

    @property
    def _is_ascii(self) -> bool:
        return self._console.options.ascii_only


class Plain:
    """A line every five seconds, without control codes."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._is_ascii = not (output.encoding or "").lower().startswith("utf")
        self._frame: Frame | None = None
        self._next = 0.0

    def say(self, text: str) -> None:
        encoding = self._output.encoding or "ascii"
        text = text.encode(encoding, "replace").decode(encoding)
        print(text.rstrip(), file=self._output, flush=True)

    @contextlib.contextmanager
    def busy(self, text: str) -> Iterator[None]:
        self.say(text)
        yield

    @contextlib.contextmanager
    def live(self, frame: Frame) -> Iterator[None]:
        self._frame = frame
        self._next = time.monotonic() + _LINE_SECONDS
        yield

    def show(self, snapshot: Snapshot) -> None:
        if self._frame is not None and time.monotonic() >= self._next:
            self._next += _LINE_SECONDS
            self.say(_line(snapshot, self._frame))

    def report(self, snapshot: Snapshot) -> None:
        if snapshot.answers is not None:
            lines = summary(snapshot.answers, _WIDTH, ascii_only=self._is_ascii)
            self.say("\n".join(["", *(line.plain.rstrip() for line in lines), ""]))


def _line(snapshot: Snapshot, frame: Frame) -> str:
    start = f"{snapshot.seconds:5.0f} s  "
    if snapshot.away is not None:
        return f"{start}{snapshot.away.reason}, since {snapshot.away.seconds:.0f} s"
    text = (
        f"{start}{snapshot.messages:,} events in, {snapshot.pace:,.0f}/s of "
        f"{pace(frame.rate)}; {snapshot.waiting:,} waiting; freshness p50 "
        f"{latency(snapshot.p50)}, p99 {latency(snapshot.p99)}"
    )
    if snapshot.answers is not None:
        revenue = snapshot.answers.revenue
        text += (
            f"; last hour: {revenue.revenue:,.0f} revenue, "
            f"{revenue.attributed_checkouts:,} of {revenue.checkouts:,} checkouts "
            "attributed"
        )
    return text


def group(lines: Lines) -> Group:
    """Return lines as one renderable, none of them wrapped."""
    for line in lines:
        line.no_wrap = True
        line.overflow = "crop"
    return Group(*lines)


@contextlib.contextmanager
def _no_echo() -> Iterator[None]:
    """Keep keystrokes out of the view, and from the shell afterwards."""
    try:
        terminal = sys.stdin.fileno()
        in_foreground = os.tcgetpgrp(terminal) == os.getpgrp()
    except (OSError, ValueError):
        in_foreground = False
    if not in_foreground:
        yield
        return
    before = termios.tcgetattr(terminal)
    quiet = [*before]
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
