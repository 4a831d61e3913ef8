"""A deployed project for the tests of a module, another for those that edit it."""

import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

sys.path.append(str(Path(__file__).parents[1] / "integration"))

from project_at_work import ProjectAtWork
from psycopg.conninfo import make_conninfo

from firstclick.home import Home
from firstclick.stack import Stack

SALES = """
insert into shops values (1, 'north'), (2, 'south');
insert into sales
select n, n % 3, 'hat', n, '2026-01-01' from generate_series(1, 300) as n;
insert into returns select n, n * 2, 1 from generate_series(1, 50) as n;
"""


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


@pytest.fixture
def filled(project: ProjectAtWork) -> ProjectAtWork:
    """Deployed, with rows in its tables."""
    project.run()
    with project.connect() as connection:
        connection.execute(SALES)
    return project


@pytest.fixture(scope="session")
def superuser(servers: Stack) -> str:
    """The URL of the same database for its superuser."""
    return make_conninfo(
        servers.database_url,
        user="postgres",
        password=Home(servers.home).password("superuser"),
    )


@pytest.fixture
def as_replica(superuser: str, filled: ProjectAtWork) -> psycopg.Connection[Any]:
    """A session for which only what is `enable always` fires."""
    with psycopg.connect(superuser) as connection:
        connection.execute(
            "grant set on parameter session_replication_role to firstclick"
        )
    connection = filled.connect()
    connection.execute("set session_replication_role = replica")
    return connection
