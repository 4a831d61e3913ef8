"""A project for each test in a database of its own, mostly a copy of a template."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
import pytest
from project_at_work import ProjectAtWork
from psycopg.conninfo import make_conninfo

from firstclick.core.home import Home
from firstclick.core.pipeline import Pipeline

MakeProject = Callable[..., AbstractContextManager[ProjectAtWork]]

SALES = """
insert into shops values (1, 'north'), (2, 'south');
insert into sales
select n, n % 3, 'hat', n, '2026-01-01' from generate_series(1, 300) as n;
insert into returns select n, n * 2, 1 from generate_series(1, 50) as n;
"""


@pytest.fixture(scope="session")
def superuser(servers: Pipeline) -> str:
    """Return the URL of the servers' database for the superuser."""
    return make_conninfo(
        servers.database_url,
        user="postgres",
        password=Home(servers.home).password("superuser"),
    )


@pytest.fixture(scope="session")
def make_project(
    servers: Pipeline, superuser: str, tmp_path_factory: pytest.TempPathFactory
) -> MakeProject:
    """Return a context manager that makes a project in the database `maintained`.

    It drops the database afterwards. The name is always the same, because a deployed
    project contains the name of its database.
    """
    url = make_conninfo(servers.database_url, dbname="maintained")

    @contextmanager
    def make(template: str = "template1") -> Iterator[ProjectAtWork]:
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute(
                "create database maintained owner firstclick"
                f" template {template}".encode()
            )
            try:
                yield ProjectAtWork(tmp_path_factory.mktemp("project"), url)
            finally:
                connection.execute("drop database maintained with (force)")

    return make


@pytest.fixture(scope="session")
def template(make_project: MakeProject, superuser: str) -> str:
    """Make a template database in which the project is deployed on empty tables."""
    with make_project() as project:
        project.make_tables()
        project.run()
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute("create database deployed template maintained")
    return "deployed"


@pytest.fixture
def project(make_project: MakeProject) -> Iterator[ProjectAtWork]:
    """Make a project that isn't deployed yet."""
    with make_project() as project:
        project.make_tables()
        yield project


@pytest.fixture
def deployed(make_project: MakeProject, template: str) -> Iterator[ProjectAtWork]:
    """Make a deployed project with empty tables."""
    with make_project(template) as project:
        yield project


@pytest.fixture
def filled(deployed: ProjectAtWork) -> ProjectAtWork:
    """Make a deployed project whose tables were then filled."""
    with deployed.connect() as connection:
        connection.execute(SALES)
    return deployed


@pytest.fixture
def as_replica(superuser: str, filled: ProjectAtWork) -> psycopg.Connection[Any]:
    """Open a session that fires only triggers that are `enable always`."""
    with psycopg.connect(superuser) as connection:
        connection.execute(
            "grant set on parameter session_replication_role to firstclick"
        )
    connection = filled.connect()
    connection.execute("set session_replication_role = replica")
    return connection
