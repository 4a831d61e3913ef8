"""Real servers for the tests, started once per session in a temporary home."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings
from firstclick.operate import stack as stacks


@pytest.fixture(scope="session", autouse=True)
def _own_servers_alone() -> Iterator[None]:
    """Unset the shell's settings, so that tests don't use the servers they name."""
    with pytest.MonkeyPatch.context() as patch:
        for field in Settings.model_fields.values():
            patch.delenv(str(field.validation_alias), raising=False)
        yield


@contextmanager
def _homes() -> Iterator[Callable[[], Path]]:
    """Yield a function that makes homes; at the end, stop what still runs in them."""
    homes: list[Path] = []

    def make() -> Path:
        # Not in tmp_path: run by root, PostgreSQL's user has no access to it
        homes.append(Path(tempfile.mkdtemp(prefix="firstclick-test-")))
        return homes[-1]

    yield make
    for home in reversed(homes):
        stacks.down(home)
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def make_session_home() -> Iterator[Callable[[], Path]]:
    """Return a function that makes homes for the whole session."""
    with _homes() as make:
        yield make


@pytest.fixture(scope="module")
def make_home() -> Iterator[Callable[[], Path]]:
    """Return a function that makes homes that end with the test file.

    Even idle servers use a tenth of a core, so they shouldn't run longer.
    """
    with _homes() as make:
        yield make


@pytest.fixture(scope="session")
def servers(make_session_home: Callable[[], Path]) -> Pipeline:
    """Start only Kafka and PostgreSQL."""
    settings = Settings.load().model_copy(update={"home": make_session_home()})
    return stacks.start(settings, detach=False, servers_only=True).pipeline


@pytest.fixture(scope="session")
def stack(servers: Pipeline, make_session_home: Callable[[], Path]) -> Pipeline:
    """Start the whole stack on these servers: models, connector and publisher."""
    settings = Settings.load().model_copy(
        update={
            "home": make_session_home(),
            "database_url": servers.database_url,
            "kafka_bootstrap_servers": servers.bootstrap_servers,
            # Tests send events that the expire worker would delete
            "expire": False,
        }
    )
    return stacks.start(settings, detach=False).pipeline
