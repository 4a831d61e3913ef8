"""Access to PostgreSQL's directory as the user that PostgreSQL runs as.

If root starts it, PostgreSQL runs as an unprivileged user, who may put anything into
its directory: for example, a symbolic link in place of a file that is about to be
written, or another process's number in postmaster.pid. So root never opens a file in
there, and nothing found in there decides what root does.

Instead, ``Directory`` starts a process that becomes that user before it does the task:
``python -I -S datadir.py UID GID``, with the task on standard input and the answer on
standard output. This module only imports the standard library, because the user may
not be able to read anything else.
"""

import contextlib
import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SECONDS = 60
"""How long a task may take."""

_REMAINS = "initialising"


class Directory:
    """PostgreSQL's directory, accessed as the user and group ``account``.

    If ``account`` is None, the current user does the tasks. Each method raises OSError
    with the directory's name if its task fails.
    """

    def __init__(self, path: Path, account: tuple[int, int] | None) -> None:
        self.path = path
        self._account = account

    def open(self, files: Mapping[str, bytes]) -> str | None:
        """Prepare the directory for a start. No server may run there any more.

        Writes ``files``, which only their owner can read, and deletes leftovers of an
        interrupted start. Returns the content of PG_VERSION, for example ``18``: empty
        if that file is missing, None if there is no data directory yet.
        """
        text = {name: content.decode("ascii") for name, content in files.items()}
        answer = self._do("open", files=text)
        return None if answer is None else str(answer)

    def begin(self, scratch: str, password: str) -> None:
        """Create a directory for initdb, with the password in a file for --pwfile."""
        self._do("begin", scratch=scratch, password=password)

    def finish(self, scratch: str) -> None:
        """Move the data directory that initdb created to its final place."""
        self._do("finish", scratch=scratch)

    def kill(self, pids: list[int], number: signal.Signals) -> None:
        """Send a signal to the processes, except those of other users."""
        self._do("kill", pids=pids, number=int(number))

    def _do(self, work: str, **arguments: object) -> object:
        if self._account is None:
            return _WORKS[work](self.path, **arguments)
        task = json.dumps([str(self.path), work, arguments])
        uid, gid = map(str, self._account)
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-S", __file__, uid, gid],
                input=task.encode(),
                env={"LANG": "C.UTF-8", "PATH": os.defpath},
                cwd="/",
                capture_output=True,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise self._error(errno.ETIMEDOUT) from error
        if done.returncode != 0:
            raise self._error(done.returncode if done.returncode > 0 else errno.EINTR)
        return json.loads(done.stdout)

    def _error(self, number: int) -> OSError:
        return OSError(number, os.strerror(number), str(self.path))


def _open(directory: Path, files: Mapping[str, str]) -> str | None:
    for remains in directory.glob(f"{_REMAINS}*"):
        shutil.rmtree(remains, ignore_errors=True)
    # PostgreSQL refuses to start if a process has the recorded number, even if that is
    # now another program or a zombie
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(directory / "data" / "postmaster.pid")
    for name, content in files.items():
        _write(directory / name, content)
    try:
        os.lstat(directory / "data")
    except FileNotFoundError:
        return None
    try:
        # O_NONBLOCK: if somebody made it a named pipe, opening it would wait forever
        file = os.open(directory / "data" / "PG_VERSION", os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return ""
    with open(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return ""
        return opened.read(16).decode("ascii", errors="replace").strip()


def _begin(directory: Path, scratch: str, password: str) -> None:
    os.mkdir(directory / scratch, mode=0o700)
    _write(directory / scratch / "password", password)


def _finish(directory: Path, scratch: str) -> None:
    os.rename(directory / scratch / "data", directory / "data")
    shutil.rmtree(directory / scratch)


def _kill(directory: Path, pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _write(file: Path, content: str) -> None:
    """Replace a file atomically. Only its owner can read it."""
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
    try:
        with open(handle, "w") as opened:
            opened.write(content)
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise


_WORKS: dict[str, Any] = {
    "open": _open,
    "begin": _begin,
    "finish": _finish,
    "kill": _kill,
}


def main(uid: str, gid: str) -> int:
    """Become that user and do one task.

    Returns the exit status, which is the error's ``errno`` if the task fails.
    """
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
    os.umask(0o077)
    directory, work, arguments = json.load(sys.stdin)
    try:
        answer = _WORKS[work](Path(directory), **arguments)
    except OSError as error:
        return error.errno or errno.EIO
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
