"""The latest value of something, and those who watch it.

Nothing is queued: a slow watcher gets the latest value and skips those in between.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec


def beat() -> bytes:
    """Return the server's clock, in ms since 1970, as a server-sent event."""
    return b"event: beat\ndata: %d\n\n" % (time.time() * 1000)


class LatestValue:
    """The latest value of one thing, encoded once for all watchers."""

    def __init__(self, event: str) -> None:
        self._event = event.encode()
        self.version = 0
        self.value: Any = None
        self.watchers: set[Watcher] = set()
        self._message = b""

    def publish(self, value: Any) -> None:
        """Replace the value and wake the watchers. An equal value changes nothing."""
        if value == self.value:
            return
        self.value = value
        self.version += 1
        self._message = b""
        for watcher in self.watchers:
            watcher.wake()

    @property
    def message(self) -> bytes:
        """The value as a server-sent event."""
        if not self._message:
            data = msgspec.json.encode(self.value)
            self._message = b"event: %s\ndata: %s\n\n" % (self._event, data)
        return self._message


class Watcher:
    """One reader of some values, registered with them for as long as the block runs."""

    def __init__(self, values: Sequence[LatestValue]) -> None:
        self._values = values
        self._seen = dict.fromkeys(values, 0)
        self._news = asyncio.Event()
        self._news.set()

    def __enter__(self) -> "Watcher":
        for value in self._values:
            value.watchers.add(self)
        return self

    def __exit__(self, *error: object) -> None:
        for value in self._values:
            value.watchers.discard(self)

    def wake(self) -> None:
        self._news.set()

    async def messages(self, silence: float) -> AsyncIterator[bytes]:
        """Yield a beat, all known values, and then each new one, as server-sent events.

        After ``silence`` seconds without a new value, yields another beat.
        """
        yield beat()
        while True:
            try:
                async with asyncio.timeout(silence):
                    await self._news.wait()
            except TimeoutError:
                yield beat()
            self._news.clear()
            for value in self._values:
                if value.version != self._seen[value]:
                    self._seen[value] = value.version
                    yield value.message
