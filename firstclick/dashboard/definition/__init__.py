"""Grafana's dashboards as this project's own: loaded, and their SQL made ready.

`load_all` gives the dashboards of grafana/dashboards, typed; `statement` a panel's
SQL as Grafana sends it.
"""

from firstclick.dashboard.definition.errors import DashboardError
from firstclick.dashboard.definition.load import DIRECTORY, load, load_all
from firstclick.dashboard.definition.model import (
    BarChart,
    Dashboard,
    Field,
    Panel,
    Stat,
    Table,
    TimeSeries,
)
from firstclick.dashboard.definition.sql import (
    TimeRange,
    duration,
    expand_macros,
    statement,
)

__all__ = [
    "DIRECTORY",
    "BarChart",
    "Dashboard",
    "DashboardError",
    "Field",
    "Panel",
    "Stat",
    "Table",
    "TimeRange",
    "TimeSeries",
    "duration",
    "expand_macros",
    "load",
    "load_all",
    "statement",
]
