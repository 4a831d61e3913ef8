"""A deployed project for the tests of a module, another for those that edit it."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from project_at_work import ProjectAtWork

from firstclick.stack import Stack


@pytest.fixture(scope="session")
def make_project(
    servers: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], ProjectAtWork]:
    numbers = count(1)

    def make() -> ProjectAtWork:
        directory: Path = tmp_path_factory.mktemp("project")
        name = f"maintained_{next(numbers)}"
        return ProjectAtWork(directory, servers.database_url, name)

    return make


@pytest.fixture(scope="session")
def deployed(make_project: Callable[[], ProjectAtWork]) -> Iterator[ProjectAtWork]:
    """Deployed as it stands, while its tables were empty."""
    project = make_project()
    project.run()
    yield project


@pytest.fixture
def project(make_project: Callable[[], ProjectAtWork]) -> ProjectAtWork:
    """A test's own, not deployed yet."""
    return make_project()
