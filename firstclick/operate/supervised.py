"""Keep one service running: restart it when it ends, after a pause that grows."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec

from firstclick.core.errors import FirstClickError, ServerError
from firstclick.core.home import Child, Home
from firstclick.core.processes import Running
from firstclick.operate.liveness import STABLE_SECONDS
from firstclick.operate.services import Service

FIRST_DELAY_S = 0.5
"""The pause before the first restart, in seconds; each further one is twice as long."""

LONGEST_DELAY_S = 30.0
"""The longest pause between two restarts, in seconds."""

log = logging.getLogger(__name__)


class Supervised(threading.Thread):
    """A thread that keeps one service running, and lives as long as its process.

    The thread must live that long: the kernel sends the process its stop signal when
    the thread that started it ends. ``started`` resolves to a message for the user
    about the first start, or to its error.
    """

    def __init__(
        self, service: Service, home: Home, changed: Callable[[str, Child], None]
    ) -> None:
        super().__init__(name=service.name, daemon=True)
        self.started: Future[str] = Future()
        self._service = service
        self._home = home
        self._changed = changed
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._restarts = self._in_a_row = 0
        self._reason: str | None = None
        self._child: Child | None = None

    def run(self) -> None:
        self._keep_running()
        if not self.started.done():
            self.started.set_exception(ServerError(f"{self.name} was stopped"))

    def _keep_running(self) -> None:
        delay = FIRST_DELAY_S
        while not self._stopping.is_set():
            start = time.monotonic()
            try:
                reason = self._run_once()
            except Exception as error:
                if not isinstance(error, FirstClickError):
                    log.exception("%s", self.name)
                reason = str(error)
                if not self.started.done():
                    self.started.set_exception(error)
                    return
            if self._stopping.is_set():
                return
            if time.monotonic() - start > STABLE_SECONDS:
                delay, self._in_a_row = FIRST_DELAY_S, 0
            self._reason = reason
            self._change(running=False, reason=reason)
            log.warning(
                # Cause: The process ended by itself, or somebody killed it.
                # Remedy: Nothing, if it keeps running. Otherwise, its own log says why
                #   it ends.
                "%s: %s; starts again in %.1f s",
                *(self.name, reason, delay),
                extra={"service": self.name, "pause_seconds": delay},
            )
            self._stopping.wait(delay)
            delay = min(2 * delay, LONGEST_DELAY_S)
            self._restarts += 1
            self._in_a_row += 1

    def _change(self, **changes: Any) -> None:
        if self._child is not None:
            self._child = msgspec.structs.replace(self._child, **changes)
            self._changed(self.name, self._child)

    def _run_once(self) -> str:
        command = self._service.prepare(self._stopping)
        with self._lock:
            if self._stopping.is_set():
                raise ServerError(f"{self.name} was stopped before it began")
            running = Running.start(self.name, command, self._home.logs)
            self._running = running
        process = running.id
        self._child = Child(
            process,
            restarts=self._restarts,
            in_a_row=self._in_a_row,
            began=time.monotonic(),
            reason=self._reason,
        )
        self._change()
        try:
            text = self._service.wait_ready(running)
            log.info(
                "%s (pid %d)",
                *(text, process.pid),
                extra={"service": self.name, "pid": process.pid},
            )
            if not self.started.done():
                self.started.set_result(text)
            code = running.process.wait()
        finally:
            running.stop()
            self._change(running=False)
        if code < 0:
            return f"ended by {signal.Signals(-code).name}"
        return f"ended with status {code}"

    def signal(self) -> None:
        """Ask the process to stop, and don't restart it."""
        self._stopping.set()
        with self._lock:
            if self._running is not None:
                self._running.signal()

    def stop(self) -> None:
        """Stop the process; kill it if it doesn't stop in time."""
        self.signal()
        if self._running is not None:
            self._running.stop()
        if self.ident is not None:
            self.join(10)
