"""The backup file: pg_dump's custom format with a checksum at the end.

The whole file is read and checked before any of it is used. Its statements then run in
the caller's transaction, so the caller can roll all of them back.
"""

import hashlib
import os
import re
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import IO, Self

import psycopg
from psycopg import sql

from firstclick.core.environment import child_environment
from firstclick.core.errors import HomeError
from firstclick.servers.postgres import programs_directory

_ENTRY = re.compile(
    r"\d+; \d+ \d+ (?P<kind>[A-Z]+(?: [A-Z]+)*) (?P<schema>\S+) (?P<name>.*)"
)
_PRIVILEGES = ("ACL", "DEFAULT ACL")

_SEAL = b"\nfirstclick backup "
_SEALED = re.compile(re.escape(_SEAL) + rb"1, sha256 ([0-9a-f]{64})\n")
"""The line that follows pg_dump's own content.

pg_dump's format has checksums of the rows only. pg_restore stops reading before this
line, so a sealed file is still a valid archive.
"""

_CHUNK = 1 << 18
"""Bytes that are read at a time, so that memory does not grow with the backup."""


@dataclass(frozen=True)
class Archive:
    """A backup file that was read to its end and found complete."""

    file: Path
    server_version: int
    """The major version of the PostgreSQL server that was dumped, for example 18."""
    _program: str
    _entries: Sequence[str]

    @classmethod
    def open(cls, file: Path, programs: Path | None) -> Self:
        """Read and check the whole file.

        Raises HomeError if the file can't be read, is not a backup, or is damaged.
        """
        try:
            # Opening a pipe would wait forever for somebody to write to it
            if not stat.S_ISREG(file.stat().st_mode):
                raise HomeError(
                    f"{file} is no file, expected one that backup has written: name it"
                )
            file.open("rb").close()
        except FileNotFoundError as error:
            raise HomeError(
                f"{file} is not there, expected a file that backup has written"
            ) from error
        except OSError as error:
            raise HomeError(
                f"{file} can't be read: {error.strerror}; let this user read it, or "
                "copy it to where you may"
            ) from error
        _check_seal(file)
        program = str(programs_directory(programs, "pg_restore") / "pg_restore")
        with _reading(program, file, "--list") as output:
            listed = output.read().decode(errors="replace").splitlines()
        version = _header(listed, "Dumped from database version")
        if _header(listed, "Format") != "CUSTOM" or version is None:
            raise _damaged(file, "it has another format than pg_dump's custom one")
        # The list is at the beginning of the file, so a truncated file still has it.
        # Only a full read shows that nothing is missing.
        with _reading(program, file, "--file=-") as output:
            while output.read(_CHUNK):
                pass
        entries = [line for line in listed if line and not line.startswith(";")]
        return cls(file, int(re.split(r"\D", version)[0]), program, entries)

    def holds(self, kind: str, schema: str, name: str) -> bool:
        """Return whether the archive has this object, for example a ``TABLE``."""
        return any(
            (found["kind"], found["schema"], found["name"].rpartition(" ")[0])
            == (kind, schema, name)
            for found in map(_ENTRY.match, self._entries)
            if found is not None
        )

    def schemas(self) -> set[str]:
        """Return the schemas that the archive creates or has objects in."""
        found = [_ENTRY.match(line) for line in self._entries]
        named = {entry["schema"] if entry else "?" for entry in found}
        made = {
            entry["name"].rpartition(" ")[0]
            for entry in found
            if entry and entry["kind"] == "SCHEMA"
        }
        return (named - {"-"}) | made

    def run(self, connection: psycopg.Connection) -> list[str]:
        """Run the archive's statements in the open transaction, without setting owners.

        Returns the roles that this server lacks; their privileges are skipped. Raises
        psycopg.Error for the first statement that fails, and HomeError if the file was
        damaged after it was opened.
        """
        self._run_section(connection, "pre-data")
        with _reading(self._program, self.file, "--section=data", "--file=-") as output:
            _run_data(connection, output)
        self._run_section(connection, "post-data")
        return self._grant(connection)

    def _run_section(self, connection: psycopg.Connection, section: str) -> None:
        arguments = ("--no-owner", "--no-privileges", f"--section={section}")
        connection.execute(_statements(self._script(*arguments)))

    def _grant(self, connection: psycopg.Connection) -> list[str]:
        listed = [
            line
            for line in self._entries
            if (entry := _ENTRY.match(line)) and entry["kind"].startswith(_PRIVILEGES)
        ]
        if not listed:
            return []
        script = self._script(
            *("--no-owner", "--use-list=/dev/stdin"), given="\n".join(listed)
        )
        missing = []
        for line in script.decode().splitlines():
            if not line.startswith(("GRANT ", "REVOKE ", "ALTER DEFAULT ")):
                continue
            try:
                with connection.transaction():
                    connection.execute(_statements(line.encode()))
            except psycopg.errors.UndefinedObject as error:
                role = re.fullmatch(r'role "(.*)" .*', error.diag.message_primary or "")
                if role is None:
                    raise
                missing.append(role[1])
        return list(dict.fromkeys(missing))

    def _script(self, *arguments: str, given: str = "") -> bytes:
        with _reading(
            self._program, self.file, *arguments, "--file=-", given=given
        ) as output:
            script = output.read()
        # pg_restore wraps a script in psql's \restrict and \unrestrict with a random
        # key, so that psql runs no other meta-command. The server knows neither.
        marked = re.search(rb"^\\restrict (\w+)$", script, re.MULTILINE)
        if marked is None:
            return script
        around = rb"^\\(un)?restrict " + marked[1] + rb"$"
        return re.sub(around, b"", script, flags=re.MULTILINE)


def seal(output: BufferedRandom) -> None:
    """Append the checksum that shows that pg_dump's output is complete."""
    output.seek(0)
    digest = hashlib.file_digest(output, "sha256").hexdigest()
    output.seek(0, os.SEEK_END)
    output.write(_SEAL + f"1, sha256 {digest}\n".encode())


def _check_seal(file: Path) -> None:
    """Raise HomeError if the file was changed since it was sealed.

    Backups by older versions have no checksum and are accepted.
    """
    with file.open("rb") as content:
        size = content.seek(0, os.SEEK_END)
        begin = max(0, size - 2 * len(_SEAL) - 80)
        content.seek(begin)
        tail = content.read()
        at = tail.rfind(_SEAL)
        if at < 0:
            return
        sealed = _SEALED.fullmatch(tail, at)
        if sealed is None:
            raise _damaged(file, "its end is missing, or a newer version's")
        content.seek(0)
        digest, left = hashlib.sha256(), begin + at
        while left > 0 and (part := content.read(min(_CHUNK, left))):
            digest.update(part)
            left -= len(part)
    if digest.hexdigest().encode() != sealed[1]:
        raise _damaged(file, "its checksum is another one")


def _run_data(connection: psycopg.Connection, output: IO[bytes]) -> None:
    """Run a data script line by line.

    Only the rows of a COPY can contain text that a user wrote, so every other line is
    safe to recognize by its beginning.
    """
    between: list[bytes] = []
    for line in output:
        if not (line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n")):
            if not line.startswith((b"\\restrict ", b"\\unrestrict ")):
                between.append(line)
            continue
        connection.execute(_statements(b"".join(between)))
        between.clear()
        with connection.cursor().copy(_statements(line)) as copy:
            for rows in _until_end(output):
                copy.write(rows)
    connection.execute(_statements(b"".join(between)))


def _until_end(output: IO[bytes]) -> Iterator[bytes]:
    rows, size = [], 0
    for line in output:
        if line == b"\\.\n":
            break
        rows.append(line)
        size += len(line)
        if size > _CHUNK:
            yield b"".join(rows)
            rows, size = [], 0
    yield b"".join(rows)


def _statements(script: bytes) -> sql.SQL:
    return sql.SQL(script.decode())


def _header(listed: Sequence[str], name: str) -> str | None:
    for line in listed:
        key, _, value = line.removeprefix(";").strip().partition(": ")
        if key == name:
            return value
    return None


@contextmanager
def _reading(
    program: str, file: Path, *arguments: str, given: str = ""
) -> Iterator[IO[bytes]]:
    """Yield the output of pg_restore. Raises HomeError if it ends with an error."""
    with subprocess.Popen(
        [program, *arguments, str(file)],
        env=child_environment({"LC_ALL": "C"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        try:
            with process.stdin as stdin:
                stdin.write(given.encode())
            yield process.stdout
            said = process.stderr.read().decode(errors="replace")
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise _damaged(file, first_error(said) or f"status {process.returncode}")


def first_error(said: str) -> str:
    """Return the first error in the output of a PostgreSQL client program.

    For example, ``no such table`` for ``pg_dump: error: no such table``.
    """
    lines = said.strip().splitlines()
    errors = [line for line in lines if " error: " in line] or lines
    return errors[0].partition(" error: ")[2] or errors[0] if errors else ""


def _damaged(file: Path, reason: str) -> HomeError:
    return HomeError(
        # Cause: The file was cut off or changed, or another program wrote it. First
        #   Click has changed nothing.
        # Remedy: Copy the file again from where you kept it, and compare checksums.
        f"{file} is no complete backup: {reason}; expected a file as backup has "
        "written it: copy it once more from where it was kept, or take another one"
    )
