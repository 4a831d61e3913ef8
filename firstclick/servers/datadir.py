"""PostgreSQL's directory, worked on as the user whom PostgreSQL runs as.

Started by root, PostgreSQL runs as somebody else, who may put anything in there: a
symbolic link for a file that is about to be written, a process's number for the
server's. So root opens nothing in there, and what is found there decides nothing that
root does. ``Directory`` has each work done by a process that has become that user
before it looks: ``python -I -S datadir.py UID GID``, with the work on its standard
input and the answer on its standard output. It takes nothing but Python's own modules,
as the user may not be able to read any others.
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
"""That a work may take."""

_REMAINS = "initialising"


class Directory:
    """The directory, and the user and group to work as; None to stay who we are.

    Each method raises OSError with the directory's name where it can't be done.
    """

    def __init__(self, path: Path, account: tuple[int, int] | None) -> None:
        self.path = path
        self._account = account

    def open(self, files: Mapping[str, bytes]) -> str | None:
        """See to it before a start, when no server runs there any more.

        Writes the files, readable by their owner alone, and takes away what an
        earlier start has left. Returns the content of PG_VERSION: empty where it is
        missing, None where there are no data yet.
        """
        text = {name: content.decode("ascii") for name, content in files.items()}
        answer = self._do("open", files=text)
        return None if answer is None else str(answer)

    def begin(self, scratch: str, password: str) -> None:
        """Make a directory for initdb to work in, with a file for its --pwfile."""
        self._do("begin", scratch=scratch, password=password)

    def finish(self, scratch: str) -> None:
        """Put the data that initdb has made in their place."""
        self._do("finish", scratch=scratch)

    def kill(self, pids: list[int], number: signal.Signals) -> None:
        """Send a signal to those of the processes that the user may send one to."""
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
    # PostgreSQL would take whoever got the number, or a zombie, for a server
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(directory / "data" / "postmaster.pid")
    for name, content in files.items():
        _write(directory / name, content)
    try:
        os.lstat(directory / "data")
    except FileNotFoundError:
        return None
    try:
        # Not to wait for ever, if it is a pipe
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
    """Replace a file at once; its owner alone can read it."""
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
    """Become that user and do one work; the exit status is the error's number."""
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
