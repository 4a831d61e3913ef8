"""The errors that a user can do something about."""


class FirstClickError(Exception):
    """What was expected, what came, and what to do, in one line.

    The command line prints the message and exits with status 1.
    """


class SettingsError(FirstClickError):
    """A setting has a value that can't be used."""


class ServerError(FirstClickError):
    """Kafka or PostgreSQL did not start, or is not reachable."""


class HomeError(FirstClickError):
    """The home directory can't be used, or another process holds it."""


class DeploymentError(FirstClickError):
    """dbt did not deploy the models."""
