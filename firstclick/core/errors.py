"""The errors that you can do something about as a user."""


class FirstClickError(Exception):
    """An error with a message for the user, on one line.

    The message says what was expected, what was found instead, and what to do. The
    command line prints it and exits with status 1.
    """


class SettingsError(FirstClickError):
    """A setting has a value that can't be used."""


class ServerError(FirstClickError):
    """Kafka or PostgreSQL did not start, is not reachable, or refused a request."""


class HomeError(FirstClickError):
    """The home directory can't be used, or another process holds it."""


class DeploymentError(FirstClickError):
    """The models aren't deployed, or dbt could not deploy them."""
