"""The error of a dashboard that can't be used."""

from firstclick.core.errors import FirstClickError


class DashboardError(FirstClickError):
    """A dashboard's JSON, or a value for its variables, can't be used."""
