"""Handling of the signals that ask a process to end."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_signals(handle: Callable[[], None], *more: signal.Signals) -> Iterator[None]:
    """Call ``handle`` at each SIGTERM, SIGINT and signal of ``more`` during the block.

    The previous handlers are restored afterwards. Only the main thread may use this.
    """
    previous = {
        number: signal.signal(number, lambda number, frame: handle())
        for number in (*STOP_SIGNALS, *more)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def exit_at_sigterm() -> None:
    """Make SIGTERM raise SystemExit, so that every ``with`` block cleans up.

    The exit status is 143, which is 128 plus the signal's number, as shells have it.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
