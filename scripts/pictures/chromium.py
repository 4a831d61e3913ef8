"""The browser for the pictures, the benchmark and the tests."""

import shutil

from firstclick.core.errors import ServerError

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Return the path of Chromium, or None if it isn't installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def need_chromium() -> str:
    """Return the path of Chromium. Raises ServerError if it isn't installed."""
    found = find_chromium()
    if found is None:
        raise ServerError("no chromium on PATH, expected one: apt install chromium")
    return found
