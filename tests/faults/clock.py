"""A clock that steps for a stack's processes only; the machine's clock stays right."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SOURCE = Path(__file__).with_name("clock.c")
_LONGEST_BUILD = 60.0


class NoClockError(Exception):
    """The machine can't provide a clock that steps; the message says why."""


@dataclass(frozen=True)
class Clock:
    """The time of day of all processes that preload ``library``."""

    library: Path
    _offset: Path

    def step(self, seconds: int) -> None:
        """Set the clock wrong by ``seconds`` from now on."""
        with self._offset.open("r+b") as file:
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))


@contextlib.contextmanager
def clock() -> Iterator[Clock]:
    """Provide a clock while the block runs, right at first. Raises NoClockError."""
    compiler = shutil.which("cc")
    if not sys.platform.startswith("linux") or compiler is None:
        raise NoClockError("it takes Linux and a C compiler (cc)")
    with tempfile.TemporaryDirectory(prefix="firstclick-clock-") as directory:
        # As root, the servers run as another user, who must be able to read it
        place = Path(directory)
        place.chmod(0o755)
        made = Clock(place / "clock.so", place / "offset")
        made._offset.write_bytes(bytes(8))
        made._offset.chmod(0o644)
        done = subprocess.run(
            [
                *(compiler, "-shared", "-fPIC", "-O1", "-o", str(made.library)),
                *(f'-DOFFSET_FILE="{made._offset}"', str(_SOURCE), "-ldl"),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST_BUILD,
        )
        if done.returncode != 0:
            raise NoClockError(" ".join(done.stderr.split()))
        made.library.chmod(0o755)
        yield made
