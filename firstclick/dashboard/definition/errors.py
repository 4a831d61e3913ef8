"""What can be wrong with a dashboard."""

from firstclick.core.errors import FirstClickError


class DashboardError(FirstClickError):
    """A dashboard's JSON, or a value for its variables, can't be used."""
