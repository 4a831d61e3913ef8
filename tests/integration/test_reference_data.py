"""Users and products can't hold values that spoil a sum, whoever writes them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from firstclick.core.database import postgres_environment
from firstclick.core.pipeline import Pipeline
from firstclick.core.project import PROJECT
from forked_dbt import run_dbt

SCHEMA = "seeded"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("project")
    for part in ("models", "macros", "seeds"):
        shutil.copytree(PROJECT / part, directory / part)
    for part in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT / part, directory / part)
    (directory / "seeds/users.csv").write_text(
        "user_id,name,email,gender,birth_day,location,phone,registration_date\n"
        "U1,Ann,,Female,1990-01-01,,,2020-01-01\n"
    )
    (directory / "seeds/products.csv").write_text(
        "product_id,product_name,category,brand,price,commission_rate\n"
        "P1,Hat,Hats,Kitano,10.50,0.05\n"
    )
    return directory


def seed(servers: Pipeline, project: Path) -> str:
    """Run `dbt seed`; return its output, with complaints."""
    result = run_dbt(
        "seed",
        directory=project,
        environment={
            **os.environ,
            **postgres_environment(servers.database_url),
            "FIRSTCLICK_SCHEMA": SCHEMA,
        },
    )
    return " ".join(result.stdout.split())


@pytest.fixture(scope="module")
def database(servers: Pipeline, project: Path) -> Iterator[psycopg.Connection[object]]:
    assert "ERROR=0" in seed(servers, project)
    with psycopg.connect(
        servers.database_url, autocommit=True, options=f"-c search_path={SCHEMA}"
    ) as connection:
        yield connection


PRICE, SHARE = "price_is_a_decimal_from_0", "commission_rate_is_a_decimal_from_0"

REFUSED = [
    (f"insert into products (product_id, price, commission_rate) values ({row})", name)
    for row, name in [
        ("'X', 'NaN', 0", PRICE),
        ("'X', 'Infinity', 0", PRICE),
        ("'X', '-Infinity', 0", PRICE),
        ("'X', null, 0", PRICE),
        ("'X', -0.01, 0", PRICE),
        ("'X', 1000000000, 0", PRICE),
        ("'X', 1, 'NaN'", SHARE),
        ("'X', 1, null", SHARE),
        ("'X', 1, 1.0000000001", SHARE),
        ("'X', 1, -1e-100", SHARE),
        ("'', 1, 1", "product_id_is"),
        ("null, 1, 1", "product_id_is"),
    ]
] + [
    ("update products set price = 'NaN'", PRICE),
    ("update products set product_id = null", "product_id_is"),
    ("insert into users (user_id) values ('')", "user_id_is"),
    ("insert into users (name) values ('Ann')", "user_id_is"),
]


@pytest.mark.parametrize(("statement", "constraint"), REFUSED)
def test_what_would_poison_a_sum_is_refused_where_it_is_written(
    database: psycopg.Connection[object], statement: str, constraint: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=constraint) as refused:
        database.execute(statement.encode())
    assert "Failing row contains" in (refused.value.diag.message_detail or "")


def test_the_bounds_themselves_and_any_digits_are_accepted(
    database: psycopg.Connection[object],
) -> None:
    with database.transaction(force_rollback=True):
        database.execute(
            "insert into products (product_id, price, commission_rate) values"
            " ('X1', 0, 0), ('X2', 999999999.99, 1), ('X3', 999999999.999999999, 0.5)"
        )
        database.execute(
            "insert into products (product_id, price, commission_rate)"
            " select 'X4', ('0.' || repeat('0', 10000) || '1')::numeric, 1"
        )


def test_a_copy_is_refused_as_a_whole(database: psycopg.Connection[object]) -> None:
    copy = "copy products (product_id, price, commission_rate) from stdin"
    with (
        pytest.raises(psycopg.errors.CheckViolation, match=PRICE),
        database.cursor() as cursor,
        cursor.copy(copy) as lines,
    ):
        lines.write("X1\t1\t0\nX2\tNaN\t0\n")
    found = database.execute("select from products where product_id = 'X1'")
    assert found.fetchall() == []


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (",Hat,Hats,Kitano,1,0", "line 3: product_id is empty, expected what"),
        (
            "P1,Cap,Hats,Kitano,1,0",
            "line 3, product_id 'P1': the key is that of line 2",
        ),
        (
            "P2,Cap,Hats,Kitano,NaN,0",
            "line 3, product_id 'P2': price is 'NaN', expected",
        ),
        (
            "P2,Cap,Hats,Kitano,,0",
            "line 3, product_id 'P2': price is empty, expected a",
        ),
        (
            "P2,Cap,Hats,Kitano,1,2",
            "line 3, product_id 'P2': commission_rate is '2', expected a",
        ),
        (
            'P2,Cap,Hats,K,"1.299,00",0',
            "line 3, product_id 'P2': price is '1.299,00', expected",
        ),
    ],
)
def test_a_wrong_file_is_an_error_that_names_file_line_and_key(
    servers: Pipeline,
    project: Path,
    database: psycopg.Connection[object],
    row: str,
    complaint: str,
) -> None:
    file = project / "seeds/products.csv"
    kept = file.read_text()
    file.write_text(kept + row + "\n")
    try:
        printed = seed(servers, project)
    finally:
        file.write_text(kept)
    assert f"seeds/products.csv, {complaint}" in printed
    assert database.execute("select product_id from products").fetchall() == [("P1",)]
