"""The services that the supervisor runs: processes that it can start and wait for.

Kafka and PostgreSQL are services too; they are in firstclick.servers.
"""

import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import psycopg

from firstclick.core import logging as logs
from firstclick.core.database import connect
from firstclick.core.environment import child_environment
from firstclick.core.errors import ServerError
from firstclick.core.home import Home
from firstclick.core.processes import Command, Running
from firstclick.operate.liveness import is_running

_READY_SECONDS = 30
"""How long a worker may take until it has connected to PostgreSQL."""


class Service(Protocol):
    """A program that the supervisor runs as a process of its own."""

    @property
    def name(self) -> str: ...

    def prepare(self, stopping: threading.Event) -> Command:
        """Prepare everything that the process needs, and return how to start it.

        Raises FirstClickError.
        """

    def wait_ready(self, running: Running) -> str:
        """Wait until the process works; return a message for the user.

        Raises FirstClickError.
        """


@dataclass(frozen=True)
class Worker:
    """A module of firstclick.workers that runs until it is told to stop.

    It connects to PostgreSQL with the application name ``firstclick <name>``.
    """

    name: str
    environment: dict[str, str]
    home: Home

    def prepare(self, stopping: threading.Event) -> Command:
        return Command(
            [sys.executable, "-m", self.module],
            child_environment(self.environment),
            self.home.path,
            record=partial(logs.as_record, self.name),
        )

    def wait_ready(self, running: Running) -> str:
        log = self.home.logs / f"{self.name}.log"
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if running.process.poll() is not None:
                reason = self._reason(running)
                raise ServerError(
                    f"the {self.title} ended at once: {reason}; see {log}"
                )
            if self._is_ready():
                return self._ready_text
            time.sleep(0.05)
        raise ServerError(
            # Cause: The worker can't connect, or the machine is very busy.
            # Remedy: Look at its log with `firstclick logs`, and start again when the
            #   machine is less busy.
            f"the {self.title} was not ready within {_READY_SECONDS} s: see {log}"
        )

    @staticmethod
    def _reason(running: Running) -> str:
        last = running.last_words()[-1:]
        said = logs.parsed(last[0]) if last else None
        return said.event if said is not None else running.unsaid_reason()

    @property
    def module(self) -> str:
        return f"firstclick.workers.{self.name}"

    @property
    def title(self) -> str:
        return self.name

    @property
    def _ready_text(self) -> str:
        return self.title.capitalize()

    def _is_ready(self) -> bool:
        """Return whether the worker has connected to PostgreSQL."""
        try:
            with connect(self.environment["DATABASE_URL"]) as connection:
                found = connection.execute(
                    "select from pg_stat_activity"
                    " where application_name = %s and datname = current_database()"
                    # Any role may use this application name
                    " and usename = current_user",
                    [f"firstclick {self.name}"],
                ).fetchone()
        except psycopg.OperationalError:
            return False
        return found is not None


@dataclass(frozen=True)
class Page(Worker):
    """The live page. It is ready when it answers requests."""

    host: str
    port: int
    token: str | None
    """The token that browsers must present; None if only this machine may open the
    page.
    """

    @property
    def module(self) -> str:
        return "firstclick.dashboard.server"

    @property
    def title(self) -> str:
        return "live page"

    @property
    def url(self) -> str:
        """The page's address, token included."""
        return self._base + (f"/?token={self.token}" if self.token else "/")

    @property
    def _ready_text(self) -> str:
        # Without the token: this text goes to the log, and the token is only for the
        # user
        return f"Live page on {self._base}"

    @property
    def _base(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def _is_ready(self) -> bool:
        return is_running(self._base)
