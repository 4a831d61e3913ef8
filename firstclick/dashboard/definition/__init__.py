"""Read Grafana's dashboards, and prepare their SQL.

`load_all` returns the dashboards of grafana/dashboards as typed objects. `statement`
returns a panel's SQL with variables and macros replaced, as Grafana sends it.
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
