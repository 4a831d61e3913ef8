"""Where a pipeline is: its servers, its schema and its topics.

`running` finds the one that `firstclick up` started in a home, `named` the one on the
servers that the settings name, `located` either.
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
"""What `python -m` runs for `firstclick up`."""


@dataclass(frozen=True)
class Pipeline:
    """The addresses of a pipeline."""

    home: Path
    database_url: str
    """As the owner of the schema, or as the worker that has this pipeline."""
    kafka: Cluster
    schema_name: str
    topic_prefix: str
    target: str = "embedded"
    """The engine, as dbt's target is named."""
    reader_url: str = ""
    """The database for the role that the dashboards read by; empty where none is
    known."""
    live_url: str | None = None
    """The live page, where one is served."""
    metrics: Path | None = None
    """Where workers leave what they count, for the live page."""
    project: Path = PROJECT
    """The dbt project that its models come from."""

    @property
    def bootstrap_servers(self) -> str:
        return self.kafka.servers


def find(path: Path) -> State | None:
    """Return what the supervisor of a home says, or None where none lives.

    Raises HomeError where the home can't be read, or others could have written to it.
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
    """Return the supervisor of a home, if it lives.

    Whoever holds the home's lock is one, even where its record no longer fits it: an
    earlier version told processes apart by a time that moves when the clock is set.
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
    """Return the pipeline that is ready. Raises ServerError where none is."""
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
    """Return the pipeline of a supervisor that says it is ready."""
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
    """Return the pipeline on the servers that the settings name.

    Raises SettingsError where one of them is not set.
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
    """Return the pipeline that the settings name, else the one that runs in the home.

    Raises ServerError where neither is there.
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
