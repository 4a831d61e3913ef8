"""Keeps the readers' role within its limits, which it can lift itself.

Anyone may set their own session's ``statement_timeout`` otherwise, and a role may
change its own password and what its sessions begin with; PostgreSQL can't forbid any of
that. So the supervisor looks: it ends transactions that last, and lets the role log in
as before where its password or its settings were changed.
"""

import logging
import threading
from dataclasses import dataclass

import psycopg

from firstclick.core.database import connect
from firstclick.core.errors import ServerError
from firstclick.core.waiting import Backoff
from firstclick.servers.roles import (
    LIMITS,
    READER,
    Setting,
    admit,
    role_of,
    role_url,
    settings_of,
)

LONGEST_SECONDS = 30
"""That a transaction of a reader may last, whatever its session has set."""

LOOK_SECONDS = 5.0
LOGIN_LOOKS = 12
"""Looks from one attempt to log in as the role to the next."""

# The sessions first, or others' could be ended before they are looked at
_END = """
with lasting as materialized (
    select pid from pg_stat_activity
    where
        usename = %s
        and xact_start < clock_timestamp() - make_interval(secs => %s)
)
select count(*) from lasting where pg_terminate_backend(pid)
"""


@dataclass
class Watch:
    """One pipeline's readers, seen by the owner of its database."""

    owner_url: str
    schema: str
    password: str
    """Of the role."""
    settings: frozenset[Setting]
    """Those of the role, as ``admit`` has left them."""
    log: logging.Logger
    longest_seconds: float = LONGEST_SECONDS

    @property
    def role(self) -> str:
        return role_of(READER, self.schema)

    def run(self, stopping: threading.Event) -> None:
        """Look again and again, until told to stop."""
        backoff = Backoff("the readers' sessions", self.log)
        pause = LOOK_SECONDS
        looks = 0
        while not stopping.wait(pause):
            try:
                with connect(
                    self.owner_url,
                    autocommit=True,
                    application_name="firstclick supervisor",
                ) as owner:
                    backoff.succeeded()
                    pause = LOOK_SECONDS
                    while True:
                        self.end_lasting(owner)
                        if looks % LOGIN_LOOKS == 0:
                            self.restore(owner)
                        looks += 1
                        if stopping.wait(LOOK_SECONDS):
                            return
            except (psycopg.Error, ServerError) as error:
                pause = max(LOOK_SECONDS, backoff.failed(error))

    def end_lasting(self, owner: psycopg.Connection) -> int:
        """End sessions whose transaction lasts too long; returns how many."""
        found = owner.execute(_END, [self.role, self.longest_seconds]).fetchone()
        ended = int(found[0]) if found else 0
        if ended:
            self.log.warning(
                # Cause: A reader has lifted the limits of their session, or a client
                #   keeps transactions open.
                # Remedy: Find out who has the role's password. `firstclick psql` shows
                #   the sessions in `pg_stat_activity`.
                "ended %d sessions of %s: a transaction lasted longer than %g s",
                *(ended, self.role, self.longest_seconds),
            )
        return ended

    def restore(self, owner: psycopg.Connection) -> bool:
        """Undo what was changed of the role; returns whether anything was."""
        if settings_of(owner, self.role) == self.settings and self._logs_in():
            return False
        expected = self.settings
        self.settings = admit(self.owner_url, self.role, self.password, LIMITS[READER])
        # A role that is the administrator's is left as it is
        if self.settings != expected or not self._logs_in():
            return False
        self.log.warning(
            # Cause: A reader changed them, which PostgreSQL can't forbid.
            # Remedy: Nothing; First Click has set them again. To lock somebody out,
            #   delete `grafana.password` in the home, run `firstclick up`, and give the
            #   new password to the others.
            "the password or the settings of %s were changed: set as before",
            self.role,
        )
        return True

    def _logs_in(self) -> bool:
        url = role_url(self.owner_url, self.role, self.password)
        try:
            connect(url).close()
        except psycopg.OperationalError as error:
            # All places taken, say, is another matter
            return "password authentication failed" not in str(error)
        return True
