"""The location of a pipeline: its servers, its schema and its topics.

`running` finds the pipeline that `firstclick up` started in a home, `named` the one on
the servers in the settings, and `located` whichever of the two applies.
"""

from dataclasses import dataclass
from pathlib import Path

import psutil

from firstclick.core.cluster import Cluster
from firstclick.core.errors import ServerError, SettingsError
from firstclick.core.home import Home, State
from firstclick.core.project import PROJECT
from firstclick.core.settings import Settings

SUPERVISOR_MODULE = "firstclick.operate.supervisor"
"""The module that `firstclick up` runs with `python -m`."""


@dataclass(frozen=True)
class Pipeline:
    """The addresses and names that tell a pipeline from others."""

    home: Path
    database_url: str
    """The database, with the credentials of the schema's owner or of a worker."""
    kafka: Cluster
    schema_name: str
    topic_prefix: str
    target: str = "embedded"
    """The engine, by the name of its dbt target."""
    reader_url: str = ""
    """The database, with the credentials of the dashboards' role; empty if unknown."""
    live_url: str | None = None
    """The address of the live page, if one runs."""
    metrics: Path | None = None
    """The directory where workers write their metrics for the live page."""
    project: Path = PROJECT
    """The dbt project with the models."""

    @property
    def bootstrap_servers(self) -> str:
        return self.kafka.servers


def find(path: Path) -> State | None:
    """Return the state of a home's supervisor, or None if none runs.

    Raises HomeError if the home can't be read, or if others could have written to it.
    """
    if not path.is_dir():
        return None
    home = Home(path)
    home.check()
    state = home.state
    if state is None or state.phase in ("stopped", "failed"):
        return None
    return state if find_supervisor(home, state) is not None else None


def find_supervisor(home: Home, state: State) -> psutil.Process | None:
    """Return the process of a home's supervisor, or None if it has ended.

    A process that holds the home's lock is a supervisor even if its recorded start time
    doesn't match: an earlier version recorded a time that changes when somebody sets
    the clock.
    """
    process = state.supervisor.find()
    if process is not None or not home.is_held:
        return process
    try:
        process = psutil.Process(state.supervisor.pid)
        if home.path.samefile(process.cwd()) and SUPERVISOR_MODULE in process.cmdline():
            return process
    except (psutil.Error, OSError):
        pass
    return None


def running(settings: Settings) -> Pipeline:
    """Return the pipeline in the settings' home.

    Raises ServerError if none runs there, or if it isn't ready yet.
    """
    state = find(settings.home)
    if state is None:
        raise ServerError(
            f"nothing runs in {settings.home}, expected a running stack: start it "
            "with `firstclick up`"
        )
    if state.phase != "ready":
        raise ServerError(
            f"the stack in {settings.home} is {state.phase}, expected it ready: wait"
        )
    return ready(settings.home, state)


def ready(home: Path, state: State) -> Pipeline:
    """Return the pipeline of a supervisor whose state is ``ready``."""
    assert state.database_url is not None and state.bootstrap_servers is not None
    assert state.reader_url is not None
    return Pipeline(
        home,
        state.database_url,
        Cluster(state.bootstrap_servers, state.kafka_security),
        state.schema_name,
        state.topic_prefix,
        reader_url=state.reader_url,
        live_url=state.live_url,
        project=Path(state.project) if state.project else PROJECT,
    )


def named(settings: Settings) -> Pipeline:
    """Return the pipeline on the servers in the settings.

    Raises SettingsError if DATABASE_URL or KAFKA_BOOTSTRAP_SERVERS is not set.
    """
    url, kafka = settings.database_url, settings.kafka
    if url is None or kafka is None:
        missing = "DATABASE_URL" if url is None else "KAFKA_BOOTSTRAP_SERVERS"
        raise SettingsError(
            f"{missing} is not set: expected the address of a running server, as "
            "firstclick env prints it: export it"
        )
    return Pipeline(
        settings.home,
        url,
        kafka,
        settings.schema_name,
        settings.topic_prefix,
        settings.target,
        metrics=settings.metrics,
        project=settings.project,
    )


def located(settings: Settings) -> Pipeline:
    """Return the pipeline in the settings, else the one that runs in the home.

    If the settings only name one of the servers, the other one is that of the home.
    Raises ServerError if a server is missing and no pipeline runs in the home.
    """
    if settings.database_url is not None and settings.kafka is not None:
        return named(settings)
    found = running(settings)
    return Pipeline(
        settings.home,
        settings.database_url or found.database_url,
        settings.kafka or found.kafka,
        found.schema_name,
        found.topic_prefix,
        settings.target,
        project=found.project,
    )
