"""What a process does when it is asked to end."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_signals(handle: Callable[[], None], *more: signal.Signals) -> Iterator[None]:
    """Call ``handle`` at each SIGTERM, SIGINT, and signal of ``more`` in the block.

    The handlers of before are back after it. Only the main thread may enter it.
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
    """Leave every ``with`` block in good order at SIGTERM, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
