"""The location of the dbt project: models, macros, seeds, dbt tests and dashboards."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_IN_WHEEL = _PACKAGE / "project"

PROJECT = _IN_WHEEL if _IN_WHEEL.is_dir() else _PACKAGE.parent
"""The project that comes with First Click. A wheel contains it inside the package; in a
clone, it is the repository's root. Set ``FIRSTCLICK_PROJECT`` to use another one."""
