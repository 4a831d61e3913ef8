"""Ask for something again and again while somebody watches."""

import asyncio
import logging
from abc import ABC, abstractmethod

from firstclick.dashboard.server.latest_value import LatestValue

_PAUSE = 5.0
"""Seconds to wait after an unexpected error."""


class Poller(ABC):
    """Polls in a loop and publishes each result, for as long as there are watchers."""

    def __init__(self, event: str, log: logging.Logger) -> None:
        self.latest = LatestValue(event)
        self.log = log
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def ask(self) -> float:
        """Ask once; return the seconds to wait before the next time."""

    def start(self) -> None:
        """Start polling, unless it has started already."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep_asking())

    def rest(self) -> None:
        """Stop polling, unless somebody watches."""
        if self._task is not None and not self.latest.watchers:
            self._task.cancel()
            self._task = None

    async def _keep_asking(self) -> None:
        while True:
            try:
                pause = await self.ask()
            except Exception:
                self.log.exception("asking failed")
                pause = _PAUSE
            await asyncio.sleep(pause)
