"""File systems that a test can fill up, one for each server's data."""

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
"""Bytes. A tmpfs takes only the memory that files use: a long run writes half of it."""

_NEEDED = 3 * 1024**3
"""Bytes of memory that must be available, for all disks together."""

_LEFT = 128 * 1024
"""Bytes that stay free on a full disk."""

_ATTEMPTS = 20


class NoDiskError(Exception):
    """The machine can't provide a disk to fill; the message says why."""


@dataclass(frozen=True)
class Disk:
    """A tmpfs, whose size is a mount option."""

    path: Path

    def fill(self) -> None:
        """Shrink the disk until only ``_LEFT`` bytes are free."""
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(NoDiskError):
                # The mount fails if a server has written more in the meantime
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
    """Mount a disk at ``path`` while the block runs. Raises NoDiskError."""
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
            # A process still uses it: Linux unmounts it when that process ends
            _run("umount", "--lazy", str(path))


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NoDiskError(f"{command[0]} can't be run: {error.strerror}") from error
    if done.returncode != 0:
        raise NoDiskError(" ".join(done.stderr.split()))
