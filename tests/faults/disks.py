"""File systems that can be full, one for each server's data."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_SIZE = 2 * 1024**3
"""Bytes, of memory where they are used: a long run writes about half of it."""

_NEEDED = 3 * 1024**3
"""Bytes of memory that have to be free, for all disks together."""

_LEFT = 128 * 1024
"""Bytes left on a disk that is filled."""

_ATTEMPTS = 20


class NoDiskError(Exception):
    """Why there can't be a disk to fill, in a few words."""


@dataclass(frozen=True)
class Disk:
    """A file system in memory, as large as its mount option says."""

    path: Path

    def fill(self) -> None:
        """Leave no room to speak of."""
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(NoDiskError):
                # Refused where more has been written meanwhile
                used = shutil.disk_usage(self.path).used
                self._mount(f"remount,size={used + _LEFT}")
                return
        raise NoDiskError(f"{self.path} could not be filled in {_ATTEMPTS} attempts")

    def make_room(self) -> None:
        self._mount(f"remount,size={_SIZE}")

    def _mount(self, options: str) -> None:
        _run("mount", "-o", options, str(self.path))


@contextlib.contextmanager
def mounted(path: Path) -> Iterator[Disk]:
    """A disk at a directory for as long as the block runs. Raises NoDiskError."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        raise NoDiskError("only root can mount one, on Linux")
    if psutil.virtual_memory().available < _NEEDED:
        raise NoDiskError(f"there is less than {_NEEDED >> 30} GiB of memory free")
    path.mkdir(mode=0o700)
    _run(
        *("mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=700"),
        *("firstclick-faults", str(path)),
    )
    try:
        yield Disk(path)
    finally:
        try:
            _run("umount", str(path))
        except NoDiskError:
            # Something is left that holds it: it goes with that
            _run("umount", "--lazy", str(path))


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NoDiskError(f"{command[0]} can't be run: {error.strerror}") from error
    if done.returncode != 0:
        raise NoDiskError(" ".join(done.stderr.split()))
