"""Real servers for the tests, started once a session in a home of their own."""

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
    """Whatever the shell's variables name is not for tests."""
    with pytest.MonkeyPatch.context() as patch:
        for field in Settings.model_fields.values():
            patch.delenv(str(field.validation_alias), raising=False)
        yield


@contextmanager
def _homes() -> Iterator[Callable[[], Path]]:
    """Makes homes; what still runs in them at the end of the block is stopped."""
    homes: list[Path] = []

    def make() -> Path:
        # Not pytest's tmp_path: as root, PostgreSQL's user could not get there
        homes.append(Path(tempfile.mkdtemp(prefix="firstclick-test-")))
        return homes[-1]

    yield make
    for home in reversed(homes):
        stacks.down(home)
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def make_session_home() -> Iterator[Callable[[], Path]]:
    """Makes homes for the whole session."""
    with _homes() as make:
        yield make


@pytest.fixture(scope="module")
def make_home() -> Iterator[Callable[[], Path]]:
    """Makes homes that end with the file: also servers without work keep a core busy
    for a tenth of the time."""
    with _homes() as make:
        yield make


@pytest.fixture(scope="session")
def servers(make_session_home: Callable[[], Path]) -> Pipeline:
    """Kafka and PostgreSQL alone."""
    settings = Settings.load().model_copy(update={"home": make_session_home()})
    return stacks.start(settings, detach=False, servers_only=True).pipeline


@pytest.fixture(scope="session")
def stack(servers: Pipeline, make_session_home: Callable[[], Path]) -> Pipeline:
    """All of it, on those servers: models deployed, connector and publisher running."""
    settings = Settings.load().model_copy(
        update={
            "home": make_session_home(),
            "database_url": servers.database_url,
            "kafka_bootstrap_servers": servers.bootstrap_servers,
            # Tests send what is older than anything that is kept
            "expire": False,
        }
    )
    return stacks.start(settings, detach=False).pipeline
