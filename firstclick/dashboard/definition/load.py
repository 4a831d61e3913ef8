"""Load dashboards from their JSON files."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import msgspec

from firstclick.core.project import PROJECT
from firstclick.dashboard.definition.errors import DashboardError
from firstclick.dashboard.definition.model import COLUMNS, Dashboard, GridPos, Panel

DIRECTORY = PROJECT / "grafana" / "dashboards"
"""The dashboards that come with First Click."""


def load_all(directory: Path = DIRECTORY) -> dict[str, Dashboard]:
    """Return all dashboards of a directory by uid, sorted by file name.

    Raises DashboardError.
    """
    found = [load(path) for path in sorted(directory.glob("*.json"))]
    return {dashboard.uid: dashboard for dashboard in found}


def load(path: Path) -> Dashboard:
    """Return the dashboard in a file.

    Raises DashboardError that names the first thing in it that can't be drawn.
    """
    try:
        dashboard = Dashboard.from_json(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise DashboardError(
            f"{path} is no dashboard that can be drawn, {error}: correct it"
        ) from error
    problem = _misplaced(dashboard.panels)
    if problem is not None:
        raise DashboardError(f"{path}: {problem}: move it")
    return dashboard


def _misplaced(panels: Sequence[Panel]) -> str | None:
    for panel in panels:
        if panel.grid_pos.x + panel.grid_pos.w > COLUMNS:
            return f"panel {panel.title!r} ends beyond the grid's {COLUMNS} columns"
    for one, other in combinations(panels, 2):
        if one.id == other.id:
            return f"panels {one.title!r} and {other.title!r} have the same id {one.id}"
        if _overlap(one.grid_pos, other.grid_pos):
            return f"panels {one.title!r} and {other.title!r} overlap"
    return None


def _overlap(one: GridPos, other: GridPos) -> bool:
    return (
        one.x < other.x + other.w
        and other.x < one.x + one.w
        and one.y < other.y + other.h
        and other.y < one.y + one.h
    )
