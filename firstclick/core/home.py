"""The home directory: everything that outlives a process.

::

    home.json             the layout's version, and the ports once chosen
    lock                  held (flock) by the supervisor for as long as it lives
    state.json            what runs, written by the supervisor alone: see State
    deployment.json       what dbt last deployed, and to which database
    postgres.password     of the role firstclick, mode 0600
    live.password         the token of the live page, mode 0600
    grafana.password      of the role that the dashboards read by, mode 0600
    page.password         of the role that the live page reads by, mode 0600
    connector.password    of that worker's role, and so for each worker, mode 0600
    superuser.password    of PostgreSQL's superuser, mode 0600
    postgresql.conf       written anew by each start; ALTER SYSTEM overrides it
    pg_hba.conf           who gets into which database; written anew as well
    postgres/             PostgreSQL's data, owned by whom it runs as; see datadir.py
    kafka/                Kafka's data and server.properties
    kafka-*/              Kafka's jars, where the user's cache can't be written
    postgres-*/           PostgreSQL's programs, where its user can't get to the wheel
    dbt/                  dbt's target directory
    logs/                 one file a process, rotated
    metrics/              one file a process: what it counts, for the live page

The directory has mode 0700; made by root 0711, so that the unprivileged user whom
PostgreSQL runs as gets to its own directory. A home that others could have written to
is refused.
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

# Below Linux's ephemeral ports, so that no outgoing connection takes one
_FIRST_PORT = {
    "live": 23000,
    "postgres": 25000,
    "kafka": 27000,
    "kafka_controller": 29000,
}
_PORTS = 2000

# One segment of PostgreSQL's write-ahead log
_ROOM = 16 * 1024 * 1024


class Step(msgspec.Struct, frozen=True):
    """One line of progress."""

    text: str
    seconds: float


class Child(msgspec.Struct, frozen=True):
    """A process of the stack, ``process`` being the last one where none runs."""

    process: ProcessId
    running: bool = True
    restarts: int = 0
    in_a_row: int = 0
    """Restarts since it last ran for long."""
    began: float = 0.0
    """When it was started, of ``time.monotonic()``."""
    reason: str | None = None
    """Why it ended the last time."""


Phase = Literal["starting", "ready", "stopping", "stopped", "failed"]


class State(msgspec.Struct):
    """What the supervisor says of itself."""

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
    """The dbt project; an earlier version's state doesn't say."""
    error: str | None = None


class Layout(msgspec.Struct):
    """home.json."""

    version: int = LAYOUT
    ports: dict[str, int] = {}


Struct = TypeVar("Struct", bound=msgspec.Struct)


@dataclass(frozen=True)
class Home:
    """A home directory that was found fit for use."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> "Home":
        """Make the directory where it is missing.

        Raises HomeError where it can't be used: others may write to it or to what is
        in it, other things are in it, a layout of a newer version, no permission, a
        full disk.
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
        """Raise HomeError where others could have put something here.

        What is in it decides what we connect to, send passwords to and end.
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
                # What is replaced just now may be gone since it was listed
                with contextlib.suppress(FileNotFoundError):
                    self._check_entry(entry)

    def check_way(self) -> None:
        """Raise HomeError where others could put another directory in its place."""
        with self.errors():
            found = changeable(self.path.parent)
        if found is not None:
            raise HomeError(
                # Cause: A directory above the home belongs to another user, or others
                #   can write to it. They could put another home in its place.
                # Remedy: Choose a home below directories that only root and you can
                #   change, for example in `/var/lib`. `/tmp` is fine, too.
                f"{found}, on the way to the home {self.path}, can be changed by other "
                "users, expected by its owner alone: set FIRSTCLICK_HOME to a "
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
        # PostgreSQL's may be its own user's, who can get no further
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
                f"{path} can be written to by others, expected by its owner alone: "
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
        """Whether its disk has no room left to start anything."""
        return shutil.disk_usage(self.path).free < _ROOM

    @property
    def state(self) -> State | None:
        """What the supervisor last wrote; it may be long dead."""
        return self.read(State, "state.json")

    def lock(self) -> FileLock:
        """The lock that the supervisor holds; released by the death of its process."""
        return FileLock(self.path / "lock", mode=0o600)

    @contextlib.contextmanager
    def locked(self, timeout: float = 0) -> Iterator[None]:
        """Hold the lock, or raise HomeError after ``timeout`` seconds."""
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
        """Whether another process has the lock, so a supervisor lives."""
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
        """A JSON file of the home, or None where there is none."""
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
        """Replace a JSON file of the home, readable by its owner alone."""
        self.write_bytes(
            msgspec.json.format(msgspec.json.encode(content)) + b"\n", name
        )

    def write_bytes(self, content: bytes, name: str, mode: int = 0o600) -> None:
        """Replace a file at once: a reader sees the old content or the new."""
        with self.errors():
            write_private(self.path / name, content, mode)

    def password(self, name: str) -> str:
        """A generated password, made at the first call."""
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
        """The port of a server: as set, as remembered, or a free one.

        A remembered one that something else has taken meanwhile is replaced.
        Raises ServerError where the one that is set is taken.
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
        """Turn an OSError into a HomeError of one line."""
        try:
            yield
        except OSError as error:
            where = error.filename or self.path
            raise HomeError(
                f"the home {self.path} can't be used: {where}: {error.strerror}; "
                "put it right, or set FIRSTCLICK_HOME to another directory"
            ) from error


def write_private(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file at once; its owner alone can read it, unless told otherwise."""
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
