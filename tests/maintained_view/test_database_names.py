"""A database may have any name that dbt can write."""

from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from project_at_work import ProjectAtWork
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from test_edits import SINGLE_TRANSACTION

from conftest import SALES
from firstclick.core.pipeline import Pipeline
from firstclick.servers.roles import role_url


@pytest.mark.parametrize("name", ["my.shop-db", "My 50% Läden."])
def test_models_are_deployed_in_a_database_of_any_name(
    servers: Pipeline, superuser: str, tmp_path: Path, name: str
) -> None:
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} owner firstclick template template0").format(
                sql.Identifier(name)
            )
        )
    address, _, options = servers.database_url.partition("?")
    url = f"{address.rpartition('/')[0]}/{quote(name, safe='')}?{options}"
    assert conninfo_to_dict(role_url(url, "a", "b"))["dbname"] == name
    project = ProjectAtWork(tmp_path, url)
    project.make_tables()
    project.run()
    with project.connect() as connection:
        connection.execute(SALES)
        assert project.differences(connection) == {}
    project.edit("named_sales", "product is not null", "amount > 100")
    project.edit("sale_details", "sales.product,", "sales.product, 1 as one,")
    result = project.dbt(*SINGLE_TRANSACTION)
    assert result.returncode == 0, result.stdout
    with project.connect() as connection:
        connection.execute("insert into sales values (900, 1, 'hat', 7000, now())")
        assert project.differences(connection) == {}
