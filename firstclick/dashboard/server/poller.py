"""What is asked for again and again while someone watches."""

import asyncio
import logging
from abc import ABC, abstractmethod

from firstclick.dashboard.server.latest_value import LatestValue

_PAUSE = 5.0
"""Seconds after an error that nobody thought of."""


class Poller(ABC):
    """Fills a value for as long as it is watched; nothing is asked else."""

    def __init__(self, event: str, log: logging.Logger) -> None:
        self.latest = LatestValue(event)
        self.log = log
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def ask(self) -> float:
        """Ask once; returns the seconds to wait before the next time."""

    def start(self) -> None:
        """Ask from now on, if that isn't done already."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep_asking())

    def rest(self) -> None:
        """Ask no more, unless someone watches."""
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
