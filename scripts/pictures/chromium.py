"""The browser of the pictures, the benchmark and the tests."""

import shutil

from firstclick.core.errors import ServerError

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Return its path, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def need_chromium() -> str:
    """Return its path. Raises ServerError."""
    found = find_chromium()
    if found is None:
        raise ServerError("no chromium on PATH, expected one: apt install chromium")
    return found
