"""Real servers for the tests, started once a session in a home of their own."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firstclick import stack as stacks
from firstclick.settings import Settings
from firstclick.stack import Stack


def _new_home() -> Path:
    # Not pytest's tmp_path: as root, PostgreSQL's user could not get there
    return Path(tempfile.mkdtemp(prefix="firstclick-test-"))


def _remove(home: Path) -> None:
    stacks.down(home)
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def servers() -> Iterator[Stack]:
    """Kafka and PostgreSQL alone; those of the environment, where it names any."""
    home = _new_home()
    settings = Settings.load().model_copy(update={"home": home})
    try:
        yield stacks.start(settings, detach=False, servers_only=True).stack
    finally:
        _remove(home)


@pytest.fixture(scope="session")
def stack(servers: Stack) -> Iterator[Stack]:
    """All of it, on those servers: models deployed, connector and publisher running."""
    home = _new_home()
    settings = Settings.load().model_copy(
        update={
            "home": home,
            "database_url": servers.database_url,
            "kafka_bootstrap_servers": servers.bootstrap_servers,
        }
    )
    try:
        yield stacks.start(settings, detach=False).stack
    finally:
        _remove(home)


@pytest.fixture
def make_home() -> Iterator[Callable[[], Path]]:
    """Makes homes of a test's own; what still runs in them is stopped."""
    homes: list[Path] = []

    def make() -> Path:
        homes.append(_new_home())
        return homes[-1]

    yield make
    for home in homes:
        _remove(home)
