"""The home directory, which holds everything that outlives a process.

::

    home.json             layout version, and the ports once they are chosen
    lock                  locked (flock) by the supervisor while it runs
    state.json            the running processes, written by the supervisor: see State
    deployment.json       the models last deployed, and the database they are in
    postgres.password     password of the role firstclick
    live.password         token of the live page
    grafana.password      password of the role for the dashboards
    page.password         password of the role for the live page
    connector.password    password of the connector's role; each worker has such a file
    superuser.password    password of PostgreSQL's superuser
    postgresql.conf       written by each start; use ALTER SYSTEM to override a setting
    pg_hba.conf           who may connect to which database; written by each start
    postgres/             PostgreSQL's data, owned by its user: see datadir.py
    kafka/                Kafka's data and server.properties
    kafka-*/              Kafka's jars, if the user's cache is not writable
    postgres-*/           PostgreSQL's programs, if its user can't read the wheel
    dbt/                  dbt's target directory
    logs/                 one log per process, rotated
    metrics/              one file of metrics per process, for the live page

The passwords and the token have mode 0600, the directory itself 0700. If root creates
it, it has mode 0711, so that the unprivileged user that PostgreSQL runs as can reach
postgres/. First Click refuses a home that other users could have written to.
"""

import contextlib
import os
import secrets
import shutil
import socket
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from filelock import FileLock, Timeout

from firstclick.core.cluster import Security
from firstclick.core.errors import HomeError, ServerError
from firstclick.core.processes import ProcessId
from firstclick.core.trust import changeable

LAYOUT = 1

# First port of each server's range. The ranges are below Linux's ephemeral ports, so
# that no outgoing connection takes one of them
_FIRST_PORT = {
    "live": 23000,
    "postgres": 25000,
    "kafka": 27000,
    "kafka_controller": 29000,
}
# Ports per range
_PORTS = 2000

# Bytes: one segment of PostgreSQL's write-ahead log, which a start may need
_ROOM = 16 * 1024 * 1024


class Step(msgspec.Struct, frozen=True):
    """One line of progress, and how long the step took."""

    text: str
    seconds: float


class Child(msgspec.Struct, frozen=True):
    """A process that the supervisor keeps running."""

    process: ProcessId
    """The current process, or the last one if ``running`` is false."""
    running: bool = True
    restarts: int = 0
    """How often the supervisor has started it again."""
    in_a_row: int = 0
    """Restarts since it last ran for a long time."""
    began: float = 0.0
    """When it was started, by ``time.monotonic()``."""
    reason: str | None = None
    """Why it last ended."""


Phase = Literal["starting", "ready", "stopping", "stopped", "failed"]


class State(msgspec.Struct):
    """The supervisor's state, as state.json records it."""

    phase: Phase
    supervisor: ProcessId
    servers_only: bool = False
    steps: list[Step] = []
    children: dict[str, Child] = {}
    database_url: str | None = None
    reader_url: str | None = None
    live_url: str | None = None
    bootstrap_servers: str | None = None
    kafka_security: Security = Security()
    schema_name: str = "firstclick"
    topic_prefix: str = ""
    project: str | None = None
    """The directory of the dbt project; None if an earlier version wrote the state."""
    error: str | None = None


class Layout(msgspec.Struct):
    """The content of home.json."""

    version: int = LAYOUT
    ports: dict[str, int] = {}


Struct = TypeVar("Struct", bound=msgspec.Struct)


@dataclass(frozen=True)
class Home:
    """A home directory. ``open`` creates and checks it, ``check`` only checks it."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> "Home":
        """Return the home at ``path``, and create the directory if it is missing.

        Raises HomeError if it can't be used: if other users can write to it or to
        anything in it, if it holds other files, if its layout is of another version,
        if the permission to use it is missing, or if the disk is full.
        """
        home = cls(path)
        home.check_way()
        with home.errors():
            if not path.is_symlink():
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
            home.check()
            layout = home.read(Layout, "home.json")
            if layout is None:
                known = ("lock", "home.json")
                for entry in path.iterdir():
                    if not entry.name.startswith(known):
                        raise HomeError(
                            f"{path} holds {entry.name}, expected an empty directory "
                            "or an earlier home: set FIRSTCLICK_HOME to another one"
                        )
                home.write(Layout(), "home.json")
            elif layout.version != LAYOUT:
                raise HomeError(
                    # Cause: Another version of First Click made the home.
                    # Remedy: Use that version, or back up with it and restore into a
                    #   new home.
                    f"{path} has layout {layout.version}, expected {LAYOUT}: "
                    "use the version of firstclick that made it, or another home"
                )
            path.chmod(0o711 if os.geteuid() == 0 else 0o700)
            home.logs.mkdir(mode=0o700, exist_ok=True)
        return home

    def check(self) -> None:
        """Raise HomeError if other users could have changed anything in the home.

        Its files decide which servers First Click connects to and sends passwords to,
        and which processes it ends.
        """
        self.check_way()
        with self.errors():
            if self.path.is_symlink():
                raise HomeError(
                    # Cause: Somebody could point the link elsewhere while the home is
                    #   in use.
                    # Remedy: Set `FIRSTCLICK_HOME` to the directory itself.
                    f"{self.path} is a symbolic link, expected a directory: set "
                    "FIRSTCLICK_HOME to where it leads"
                )
            self._check_owner(
                self.path, "set FIRSTCLICK_HOME to a directory of your own"
            )
            for entry in self.path.iterdir():
                # Another process may replace a file after we have listed it
                with contextlib.suppress(FileNotFoundError):
                    self._check_entry(entry)

    def check_way(self) -> None:
        """Raise HomeError if other users could replace the home by another directory.

        They can if they may write to a directory on the way to it.
        """
        with self.errors():
            found = changeable(self.path.parent)
        if found is not None:
            raise HomeError(
                # Cause: A directory above the home belongs to another user, or others
                #   can write to it. They could put another home in its place.
                # Remedy: Choose a home below directories that only root and you can
                #   change, for example in `/var/lib`. `/tmp` is fine, too.
                f"{found}, on the way to the home {self.path}, can be changed by other "
                "users, expected only by its owner: set FIRSTCLICK_HOME to a "
                "directory that nobody else can replace"
            )

    def _check_entry(self, entry: Path) -> None:
        if entry.is_symlink():
            raise HomeError(
                # Cause: Somebody could point the link elsewhere while the home is in
                #   use.
                # Remedy: Move what the link leads to into the home.
                f"{entry} is a symbolic link, expected none in a home: put "
                "what it leads to in its place, or set FIRSTCLICK_HOME to "
                "another directory"
            )
        # postgres/ may belong to PostgreSQL's user, who can write nowhere else
        if entry.name != "postgres":
            self._check_owner(entry, "see who put it there, and delete it")
        if entry.suffix == ".password" and entry.stat().st_mode & 0o077:
            raise HomeError(
                # Cause: Other users may know the password or the token.
                # Remedy: Take the permission away. If they may know it, delete the
                #   file: First Click generates another one.
                f"{entry} can be read by others, expected mode 0600: run "
                f"`chmod 600 {entry}`, or delete it if others may know it"
            )

    def _check_owner(self, path: Path, remedy: str) -> None:
        status = path.stat(follow_symlinks=False)
        if status.st_uid != os.geteuid():
            raise HomeError(
                f"{path} belongs to user {status.st_uid}, expected {os.geteuid()}: "
                f"{remedy}"
            )
        if status.st_mode & 0o022:
            raise HomeError(
                # Cause: Other users could decide which programs run, and where
                #   passwords are sent.
                # Remedy: Check that nothing in it is foreign, then take the permission
                #   away.
                f"{path} can be written to by others, expected only by its owner: "
                f"look at what is in it, then run `chmod go-w {path}`"
            )

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics"

    @property
    def is_full(self) -> bool:
        """True if the disk has too little room to start anything."""
        return shutil.disk_usage(self.path).free < _ROOM

    @property
    def state(self) -> State | None:
        """The state that the supervisor last wrote. It may have ended since."""
        return self.read(State, "state.json")

    def lock(self) -> FileLock:
        """Return the supervisor's lock, which is released when its process ends."""
        return FileLock(self.path / "lock", mode=0o600)

    @contextlib.contextmanager
    def locked(self, timeout: float = 0) -> Iterator[None]:
        """Hold the lock during the block.

        Raises HomeError if it isn't free within ``timeout`` seconds.
        """
        with self.errors():
            lock = self.lock()
            try:
                lock.acquire(timeout=timeout)
            except Timeout as error:
                raise HomeError(
                    f"{self.path} is in use by another firstclick: "
                    "wait for it, or run `firstclick down`"
                ) from error
        try:
            yield
        finally:
            lock.release()

    @property
    def is_held(self) -> bool:
        """True if another process holds the lock: a supervisor runs."""
        if not (self.path / "lock").exists():
            return False
        with self.errors():
            lock = self.lock()
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return True
            lock.release()
        return False

    def read(self, kind: type[Struct], name: str) -> Struct | None:
        """Read a JSON file of the home; return None if it doesn't exist.

        Raises HomeError if it can't be read or decoded.
        """
        with self.errors():
            try:
                content = self._read_bytes(name)
            except FileNotFoundError:
                return None
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError as error:
            raise HomeError(
                # Cause: The file was cut off or edited.
                # Remedy: Delete it. First Click makes it again.
                f"{self.path / name} is damaged ({error}): delete it, it is made again"
            ) from error

    def write(self, content: msgspec.Struct, name: str) -> None:
        """Replace a JSON file of the home. Only its owner can read it."""
        self.write_bytes(
            msgspec.json.format(msgspec.json.encode(content)) + b"\n", name
        )

    def write_bytes(self, content: bytes, name: str, mode: int = 0o600) -> None:
        """Replace a file atomically: a reader sees the old or the new content."""
        with self.errors():
            write_private(self.path / name, content, mode)

    def password(self, name: str) -> str:
        """Return the password of that name. The first call generates it."""
        file = self.path / f"{name}.password"
        with self.errors():
            if not file.exists():
                self.write_bytes(secrets.token_urlsafe(24).encode(), file.name)
            return self._read_bytes(file.name).decode().strip()

    def _read_bytes(self, name: str) -> bytes:
        opened = os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(opened, "rb") as file:
            return file.read()

    def port(self, name: str, setting: int | None) -> int:
        """Return a server's port: the one set, the remembered one, or a free one.

        ``name`` is a key of _FIRST_PORT, for example ``kafka``. The chosen port is
        remembered in home.json, and replaced if another program uses it by now. Raises
        ServerError if the port that is set is taken, or if no port is free.
        """
        if setting is not None:
            if not _is_free(setting):
                raise ServerError(
                    f"port {setting} is taken, expected a free one for {name}: stop "
                    f"what listens there, or set FIRSTCLICK_{name.upper()}_PORT to "
                    "another one"
                )
            return setting
        layout = self.read(Layout, "home.json") or Layout()
        first = _FIRST_PORT[name]
        start = zlib.crc32(os.fsencode(self.path)) % _PORTS
        candidates = [first + (start + n) % _PORTS for n in range(_PORTS)]
        if name in layout.ports:
            candidates.insert(0, layout.ports[name])
        others = {port for key, port in layout.ports.items() if key != name}
        for port in candidates:
            if port not in others and _is_free(port):
                if layout.ports.get(name) != port:
                    layout.ports[name] = port
                    self.write(layout, "home.json")
                return port
        raise ServerError(
            f"no port from {first} to {first + _PORTS - 1} is free for {name}: "
            "set one that is"
        )

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn an OSError of the block into a HomeError with a message of one line."""
        try:
            yield
        except OSError as error:
            where = error.filename or self.path
            raise HomeError(
                f"the home {self.path} can't be used: {where}: {error.strerror}; "
                "put it right, or set FIRSTCLICK_HOME to another directory"
            ) from error


def write_private(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file atomically. By default, only its owner can read it."""
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=file.name)
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
            os.fchmod(opened.fileno(), mode)
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise


def _is_free(port: int) -> bool:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
