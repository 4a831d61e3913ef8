"""Enforces the limits of the readers' role, which a reader could otherwise lift.

Any session may change its own ``statement_timeout``, and any role may change its own
password and settings. PostgreSQL can't forbid that. So the supervisor looks every few
seconds: it ends sessions whose transaction takes too long, and sets the role's password
and settings again if somebody changed them.
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
"""How long a reader's transaction may take, whatever the session's own settings are."""

LOOK_SECONDS = 5.0
"""Interval between two looks at the sessions."""
LOGIN_LOOKS = 12
"""After how many looks to log in as the role, to check its password."""

# Materialized: otherwise, PostgreSQL could call pg_terminate_backend for a session
# before it checks whose it is
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
    """The supervision of one pipeline's readers, by the owner of its database."""

    owner_url: str
    schema: str
    password: str
    """The role's password."""
    settings: frozenset[Setting]
    """The role's settings, as ``admit`` returned them."""
    log: logging.Logger
    longest_seconds: float = LONGEST_SECONDS

    @property
    def role(self) -> str:
        return role_of(READER, self.schema)

    def run(self, stopping: threading.Event) -> None:
        """Enforce the limits until ``stopping`` is set; log errors and retry."""
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
        """End the sessions whose transaction takes too long, and return how many."""
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
        """Set the role's password and settings again if somebody changed them.

        Returns whether it did.
        """
        if settings_of(owner, self.role) == self.settings and self._logs_in():
            return False
        expected = self.settings
        self.settings = admit(self.owner_url, self.role, self.password, LIMITS[READER])
        # `admit` doesn't change a role that an administrator created
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
            # Any other error, such as too many connections, says nothing about it
            return "password authentication failed" not in str(error)
        return True
