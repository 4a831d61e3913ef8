"""A seed owns its file's rows; a wrong file is an error that names the place."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest
from project_at_work import ProjectAtWork

CONFIG = """
seeds:
  maintained:
    +unique_key: [ware_id]
    +column_types: {ware_id: text, name: text, price: 'PRICE'}
    +checks:
      price: {expected: a decimal from 0, condition: 0 <= price and price < 'Inf'}
"""

MODELS = {
    "ware_prices": (
        "{{ config(delta='per_row', unique_key='ware_id') }}"
        " select ware_id, price from {{ ref('wares') }}"
    ),
    "ware_totals": (
        "{{ config(delta='aggregate', unique_key='name', count='wares') }}"
        " select name, count(*) as wares, sum(price) as price"
        " from {{ ref('wares') }} group by name"
    ),
    "dear_wares": (
        "{{ config(materialized='view') }}"
        " select ware_id, price from {{ ref('wares') }} where price > 100"
    ),
    "dear_prices": (
        "{{ config(delta='per_row', unique_key='ware_id') }}"
        " select ware_id, price * 2 as price from {{ ref('dear_wares') }}"
    ),
}

FILE = "ware_id,name,price\nw1,hat,1.5\nw2,sock,2\nw3,hat,300\n"

WAYS = [["build"], ["build", "--vars", "single_transaction: true"]]
"""The two ways to deploy: model by model, and all at once."""


class Shop:
    """A project with a seed, deployed in one of the two ``WAYS``."""

    def __init__(self, project: ProjectAtWork, way: list[str]) -> None:
        self.project = project
        self.way = way
        self.file = project.directory / "seeds" / "wares.csv"
        self.file.parent.mkdir()
        self.declare("numeric")
        for file in (project.directory / "models").glob("*.sql"):
            file.unlink()
        for name, text in MODELS.items():
            (project.directory / "models" / f"{name}.sql").write_text(text)

    def declare(self, price: str) -> None:
        path = self.project.directory / "dbt_project.yml"
        text, *_ = path.read_text().split("\nseeds:")
        path.write_text(text + CONFIG.replace("PRICE", price))

    def dbt(self, file: str | bytes, *arguments: str) -> tuple[int, str]:
        """Write the file and deploy; return dbt's exit code and output."""
        self.file.write_bytes(file if isinstance(file, bytes) else file.encode())
        result = self.project.dbt(*self.way, *arguments)
        return result.returncode, " ".join(result.stdout.split())

    def deploy(self, file: str = FILE, *arguments: str) -> str:
        code, printed = self.dbt(file, *arguments)
        assert code == 0, printed[-900:]
        with self.project.connect() as connection:
            assert self.project.differences(connection) == {}
        return printed

    def run(self, statement: str) -> None:
        with self.project.connect() as connection:
            connection.execute(statement.encode())

    def wares(self, seed: str = "wares") -> dict[str, tuple[Any, ...]]:
        with self.project.connect() as connection:
            return {
                ware: (name, None if price is None else str(price))
                for ware, name, price in connection.execute(
                    f"select ware_id, name, price from {seed} order by 1".encode()
                )
            }


@pytest.fixture(params=WAYS, ids=["by model", "at once"])
def shop(request: pytest.FixtureRequest, project: ProjectAtWork) -> Shop:
    return Shop(project, request.param)


OF_FILE = {"w1": ("hat", "1.5"), "w2": ("sock", "2"), "w3": ("hat", "300")}


def test_a_seed_removes_and_overwrites_only_what_a_seed_brought(shop: Shop) -> None:
    shop.deploy()
    assert shop.wares() == OF_FILE
    shop.run("insert into wares values ('mine', 'cap', 7), ('w4', 'cap', 8)")
    # Equal to a row in a later version of the file, so nothing is reported
    shop.run("insert into wares values ('w5', 'belt', 9)")
    later = FILE.replace("w1,hat,1.5\n", "").replace("sock,2", "sock,2.5")
    printed = shop.deploy(later + "w4,scarf,10\nw5,belt,9\n")
    kept = {"mine": ("cap", "7"), "w4": ("cap", "8"), "w5": ("belt", "9")}
    assert shop.wares() == {"w2": ("sock", "2.5"), "w3": OF_FILE["w3"], **kept}
    assert "1 rows have the key of a row that did not come from a seed" in printed
    assert "line 4 (w4)" in printed
    shop.deploy("ware_id,name,price\n")
    assert shop.wares() == kept
    assert "did not come" not in shop.deploy(FILE, "--full-refresh")
    assert shop.wares() == {**OF_FILE, **kept}


def test_a_row_of_the_file_that_was_changed_or_deleted_comes_back(shop: Shop) -> None:
    shop.deploy()
    shop.run("delete from wares where ware_id = 'w1'")
    shop.run("update wares set price = 0 where ware_id = 'w2'")
    shop.deploy()
    assert shop.wares() == OF_FILE


def test_a_row_in_the_place_of_a_seeds_is_not_the_seeds(shop: Shop) -> None:
    unread = shop.file.with_stem("unread")
    unread.write_text(FILE)
    shop.deploy()
    for away, theirs, places, others in (
        (
            "delete from wares where ware_id = 'w1';"
            " update wares set ware_id = 'other' where ware_id = 'w2'",
            {"w1": ("crown", "9"), "w2": ("crown", "8")},
            "line 2 (w1), line 3 (w2)",
            "ware_id,name,price\nw3,hat,300\n",
        ),
        ("truncate wares", {"w3": ("cap", "7")}, "line 4 (w3)", "ware_id,name,price\n"),
    ):
        shop.run(away)
        for ware, (name, price) in theirs.items():
            shop.run(f"insert into wares values ('{ware}', '{name}', {price})")
        printed = shop.deploy()
        assert f"{len(theirs)} rows have the key of a row that did not come" in printed
        assert places in printed
        assert theirs.items() <= shop.wares().items()
        shop.deploy(others)
        assert theirs.items() <= shop.wares().items()
    # Only seeds that models read have a trigger that deletes the rows at a truncate
    shop.run("truncate unread; insert into unread values ('w3', 'cap', 7)")
    unread.write_text("ware_id,name,price\n")
    shop.deploy()
    assert shop.wares("unread") == {"w3": ("cap", "7")}


def test_of_a_version_without_a_record_what_equals_the_file_is_the_seeds(
    shop: Shop,
) -> None:
    shop.run("create table wares (ware_id text, name text, price numeric)")
    shop.run("create unique index wares_key on wares (ware_id)")
    shop.run("insert into wares values ('w1', 'hat', 1.50), ('w2', 'sock', 3)")
    shop.run("insert into wares values ('mine', 'cap', 7)")
    assert "line 3 (w2)" in shop.deploy()
    assert shop.wares()["w2"] == ("sock", "3")
    shop.deploy("ware_id,name,price\n")
    assert shop.wares() == {"w2": ("sock", "3"), "mine": ("cap", "7")}


def test_a_column_type_that_changed_is_applied_to_all_that_reads_it(shop: Shop) -> None:
    shop.deploy()
    shop.run("create view mine as select price from dear_wares")
    shop.run("grant select on mine to public")
    shop.run("comment on view mine is 'of mine'")
    shop.run("create materialized view dearest as select max(price) from wares")
    shop.run(
        "create function price_of(ware text) returns numeric begin atomic"
        " select price from wares where ware_id = ware; end"
    )
    shop.run("insert into wares values ('mine', 'hat', 777.777)")
    shop.declare("numeric(12,2)")
    shop.deploy()
    with shop.project.connect() as connection:
        types = connection.execute(
            "select attrelid::regclass::text, format_type(atttypid, atttypmod)"
            " from pg_attribute where attname = 'price' and attrelid = any(array["
            "'wares', 'ware_prices', 'dear_wares', 'mine']::regclass[])"
        ).fetchall()
        assert {type for _, type in types} == {"numeric(12,2)"}
        assert connection.execute(
            "select (select price from ware_prices where ware_id = 'mine'),"
            " (select max(price)::text from dear_prices),"
            " has_table_privilege('public', 'mine', 'select'),"
            " obj_description('mine'::regclass), (select max from dearest),"
            " price_of('mine')"
        ).fetchone() == (
            *(Decimal("777.78"), "1555.56", True),
            *("of mine", Decimal("777.78"), Decimal("777.78")),
        )
        connection.execute("update wares set price = 888 where ware_id = 'mine'")
        assert shop.project.differences(connection) == {}
    path = shop.project.directory / "dbt_project.yml"
    path.write_text(path.read_text().replace("name: text", "name: date"))
    code, printed = shop.dbt("ware_id,name,price\n")
    assert code != 0
    assert ": name is hat, expected date: correct it" in printed


NOT_UTF_8: dict[str, tuple[bytes, str]] = {
    "latin-1": (
        FILE.replace("sock", "bäret").encode("latin-1"),
        "line 3, ware_id 'w2': not in UTF-8, expected all of the file in it",
    ),
    "latin-1 in the header": (
        FILE.replace("name", "näme").encode("latin-1"),
        "line 1: not in UTF-8",
    ),
    "latin-1 in the key": (
        FILE.replace("w2", "wé").encode("latin-1"),
        "line 3, ware_id 'w�': not in UTF-8",
    ),
    "utf-16": (FILE.encode("utf-16"), "line 1: not in UTF-8"),
}

WRONG: dict[str, tuple[str, str]] = {
    "semicolons": (
        FILE.replace(",", ";"),
        "line 1: no column ware_id, expected it in the header, with columns separated"
        " by ,: the header is 'ware_id;name;price'",
    ),
    "tabs": (FILE.replace(",", "\t"), "line 1: no column ware_id"),
    "a decimal comma": (
        FILE.replace("sock,2", 'sock,"1.299,00"'),
        "line 3, ware_id 'w2': price is '1.299,00', expected numeric",
    ),
    "a decimal comma without quotes": (
        FILE.replace("sock,2", "sock,1.299,00"),
        "line 3, ware_id 'w2': 4 fields, expected 3 as in the header",
    ),
    "a thousands comma": (
        FILE.replace("sock,2", 'sock,"1,299.00"'),
        "line 3, ware_id 'w2': price is '1,299.00', expected numeric",
    ),
    "a field too few": (
        FILE.replace("sock,2", "sock"),
        "line 3, ware_id 'w2': 2 fields, expected 3",
    ),
    "a duplicate key": (
        FILE.replace("w3", "w1"),
        "line 4, ware_id 'w1': the key is that of line 2, expected a key of its own",
    ),
    "an empty key": (
        FILE.replace("w2", ""),
        "line 3: ware_id is empty, expected what identifies the row",
    ),
    "a key of blanks": (FILE.replace("w2", "  "), "line 3: ware_id is empty"),
    "a value that its check refuses": (
        FILE.replace("sock,2", "sock,-1"),
        "line 3, ware_id 'w2': price is '-1', expected a decimal from 0",
    ),
    "a value that is empty": (
        FILE.replace("sock,2", "sock,"),
        "line 3, ware_id 'w2': price is empty, expected a decimal from 0",
    ),
    "no number": (
        FILE.replace("sock,2", "sock,NaN"),
        "line 3, ware_id 'w2': price is 'NaN', expected a decimal from 0",
    ),
    "a line below a field of two and a blank one": (
        FILE.replace("hat,1.5", '"h\r\nat",1.5\n').replace("w2", ""),
        "line 5: ware_id is empty",
    ),
    "a column that is there twice": (
        FILE.replace("name", "price"),
        "line 1: the column price is there twice",
    ),
    "nothing": ("", "is not a CSV file, expected a header and rows of fields"),
    "a quote that doesn't end": (
        FILE.replace("sock", '"sock'),
        "line 3, ware_id 'w2': 2 fields, expected 3",
    ),
}


def test_a_file_that_is_none_changes_nothing_and_one_line_says_where(
    shop: Shop,
) -> None:
    # One run reports on a seed for each wrong file; an unreadable file ends the run
    files = {name: shop.file.with_stem(f"wares_{n}") for n, name in enumerate(WRONG)}
    for file in files.values():
        file.write_text(FILE)
    shop.deploy()
    for name, file in files.items():
        file.write_text(WRONG[name][0])
    code, printed = shop.dbt(FILE)
    assert code != 0
    for name, file in files.items():
        place, complaint = f"seeds/{file.name}", WRONG[name][1]
        assert (
            f"{place}, {complaint}" in printed or f"{place} {complaint}" in printed
        ), f"{name}: {printed}"
        assert shop.wares(file.stem) == OF_FILE, name
        file.write_text(FILE)
    for name, (content, complaint) in NOT_UTF_8.items():
        code, printed = shop.dbt(content)
        assert code != 0, name
        assert f"seeds/wares.csv, {complaint}" in printed, f"{name}: {printed}"
        assert shop.wares() == OF_FILE, name


def test_blank_lines_a_byte_order_mark_and_line_ends_of_windows_are_no_error(
    shop: Shop,
) -> None:
    shop.deploy("\ufeff" + FILE.replace("\n", "\r\n") + "\r\n\r\n")
    assert shop.wares() == OF_FILE


def test_a_stored_value_that_is_refused_is_named_and_nothing_is_changed(
    shop: Shop,
) -> None:
    shop.deploy()
    shop.run(
        "alter table wares drop constraint price_is_a_decimal_from_0_check;"
        "insert into wares values ('mine', 'cap', 'NaN')"
    )
    code, printed = shop.dbt(FILE.replace("sock,2", "sock,3"))
    assert code != 0
    assert (
        "wares, row ware_id 'mine': price is NaN, expected a decimal from 0: correct it"
        in printed
    )
    assert shop.wares()["w2"] == ("sock", "2")
    shop.run("update wares set price = 1 where ware_id = 'mine'")
    shop.deploy()
    for value in ("-1", "'NaN'", "null", "'Infinity'"):
        with pytest.raises(psycopg.errors.CheckViolation, match="price_is_a_decimal"):
            shop.run(f"insert into wares values ('more', 'cap', {value})")
