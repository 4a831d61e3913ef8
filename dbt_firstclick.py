"""A plugin of dbt, which finds it by its name: a seed is UTF-8, or an error says where.

dbt decodes every seed while it reads the project, before any macro runs, and ends in a
traceback that names no file.
"""

import csv
from io import StringIO
from pathlib import Path

from dbt.flags import get_flags
from dbt.plugins.manager import dbtPlugin


class ReadableSeeds(dbtPlugin):
    """Looks at the project's seeds before dbt reads them."""

    def initialize(self) -> None:
        """Raise ValueError with file, line and key of the first text not in UTF-8."""
        project = Path(get_flags().PROJECT_DIR)  # type: ignore[no-untyped-call]
        for file in sorted((project / "seeds").rglob("*.csv")):
            place = place_of_other_bytes(file.read_bytes())
            if place is not None:
                raise ValueError(
                    f"{file.relative_to(project)}, {place}: not in UTF-8, expected all "
                    "of the file in it: save it as UTF-8"
                )


def place_of_other_bytes(content: bytes) -> str | None:
    """Return line and key of the first bytes that are not UTF-8, None if all are.

    The key is what the first column has there: which columns are keys isn't known yet.
    """
    try:
        content.decode()
    except UnicodeDecodeError as error:
        before, rest = content[: error.start], content[error.start :]
    else:
        return None
    text = before.decode() + rest.splitlines()[0].decode(errors="replace")
    header, *rows = csv.reader(StringIO(text, newline=None))
    line = f"line {len((before + b'-').splitlines())}"
    return f"{line}, {header[0]} '{rows[-1][0]}'" if rows else line


plugins = [ReadableSeeds]
