"""A maintained relation equals its model's SQL after every transaction."""

import os
import random
import threading
import time
from typing import Any

import psycopg
import pytest
from project_at_work import ProjectAtWork

SEED = int(
    os.environ.get("FIRSTCLICK_TEST_SEED", random.SystemRandom().getrandbits(32))
)

SALE_IDS = range(1, 60)
PRODUCTS = ["hat", "Hat", "sock", "", None]
AMOUNTS = ["10", "49.99", "50", "50.00", "-3", "100.001", None, "1e9"]
AMOUNTS += ["NaN", "Infinity", "-Infinity"]
REGIONS = ["north", "south", "none", None]

SURROUNDINGS = {
    "TimeZone": ["America/Los_Angeles", "Asia/Kathmandu", "<half>-00:30"],
    "DateStyle": ["German", "SQL, DMY", "Postgres, MDY"],
    "IntervalStyle": ["iso_8601", "sql_standard", "postgres_verbose"],
    "extra_float_digits": ["-10", "3"],
    "bytea_output": ["escape"],
    "transform_null_equals": ["on"],
    "standard_conforming_strings": ["off"],
    "default_text_search_config": ["pg_catalog.german"],
    "xmlbinary": ["hex"],
    "xmloption": ["document"],
}


class Shopkeeper:
    """A source of random statements of every kind."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def shop_id(self) -> int | None:
        return self.random.choice([1, 2, 3, 4, None])

    def sale(self, sale_id: int) -> tuple[Any, ...]:
        choose = self.random.choice
        return (
            sale_id,
            self.shop_id(),
            choose(PRODUCTS),
            choose(AMOUNTS),
            choose(["2026-01-01", "2026-01-01 23:59:59.999", "2026-01-02"]),
        )

    def some_ids(self) -> list[int]:
        return self.random.sample(SALE_IDS, self.random.choice([0, 1, 2, 20]))

    def surroundings(self) -> dict[str, str]:
        """Choose settings for a session."""
        return {
            name: self.random.choice(values)
            for name, values in SURROUNDINGS.items()
            if self.random.random() < 0.3
        }

    def statement(self) -> tuple[str, list[list[Any]]]:
        """Choose a statement and its parameters, which may be none."""
        random = self.random
        kind = random.choice(
            ["sales"] * 4
            + ["returns"] * 2
            + ["shops", "delete", "move", "revalue", "shelve", "clear"]
            + ["empty", "nothing", "swap"]
        )
        if kind == "sales":
            return (
                "insert into sales select * from unnest(%s::int[], %s::int[],"
                " %s::text[], %s::numeric[], %s::timestamptz[])"
                " on conflict (sale_id) do update set"
                " shop_id = excluded.shop_id, product = excluded.product,"
                " amount = excluded.amount, sold_at = excluded.sold_at",
                columns([self.sale(id) for id in self.some_ids()], 5),
            )
        if kind == "returns":
            rows = [
                (
                    id,
                    random.choice([*SALE_IDS, None]),
                    random.choice(["1", "2", "2.5", "-Infinity", None]),
                )
                for id in self.some_ids()
            ]
            return (
                "merge into returns as stored using unnest(%s::int[], %s::int[],"
                " %s::numeric[]) as new (return_id, sale_id, refund)"
                " on stored.return_id = new.return_id"
                " when matched and new.refund is null then delete"
                " when matched then update"
                " set sale_id = new.sale_id, refund = new.refund"
                " when not matched then insert values (new.return_id, new.sale_id,"
                " new.refund)",
                columns(rows, 3),
            )
        if kind == "shops":
            return (
                "insert into shops values (%s, %s) on conflict (shop_id) do update"
                " set region = excluded.region",
                [random.choice([1, 2, 3, 4]), random.choice(REGIONS)],
            )
        if kind == "shelve":
            shelves = {
                (random.randrange(3), random.randrange(3)): random.choice(PRODUCTS)
                for _ in self.some_ids()
            }
            return (
                "insert into shelves select * from unnest(%s::int[], %s::int[],"
                " %s::text[]) on conflict (aisle, place) do update"
                " set ware = excluded.ware",
                columns([(*place, ware) for place, ware in shelves.items()], 3),
            )
        if kind == "clear":
            return (
                "delete from shelves where (aisle, place) in"
                " (select * from unnest(%s::int[], %s::int[]))",
                columns([(n % 3, n // 3 % 3) for n in self.some_ids()[:3]], 2),
            )
        return {
            "delete": ("delete from sales where sale_id = any(%s)", [self.some_ids()]),
            "move": (
                "update sales set shop_id = %s, sold_at = sold_at + interval '1 day'"
                " where sale_id = any(%s)",
                [self.shop_id(), self.some_ids()],
            ),
            "revalue": ("update sales set amount = amount * 2 where amount < 1e6", []),
            "empty": (
                f"truncate {random.choice(['sales', 'returns', 'shops', 'shelves'])}",
                [],
            ),
            "nothing": ("update sales set amount = amount", []),
            "swap": (
                "update sales set sale_id = 1000 - sale_id where sale_id > 900",
                [],
            ),
        }[kind]


def columns(rows: list[tuple[Any, ...]], width: int) -> list[Any]:
    return [[row[i] for row in rows] for i in range(width)]


def test_any_transactions_leave_every_model_equal_to_its_sql(
    deployed: ProjectAtWork,
) -> None:
    keeper = Shopkeeper(SEED)
    with deployed.connect() as connection:
        for number in range(150):
            done = []
            surroundings = keeper.surroundings()
            for name, value in surroundings.items():
                connection.execute("select set_config(%s, %s, true)", [name, value])
            for _ in range(keeper.random.choice([1, 1, 2, 5])):
                statement, parameters = keeper.statement()
                connection.execute(statement.encode(), parameters or None)
                done.append((statement, parameters))
            if keeper.random.random() < 0.1:
                connection.rollback()
            else:
                connection.commit()
            assert deployed.differences(connection) == {}, (
                f"seed {SEED}, transaction {number}, {surroundings}: {done}"
            )


OPTIONS = " ".join(
    f"-c {name}={values[0]}".replace(", ", ",") for name, values in SURROUNDINGS.items()
)


@pytest.mark.parametrize("arguments", [(), ("--vars", "single_transaction: true")])
def test_the_session_that_deploys_does_not_decide_what_is_computed(
    project: ProjectAtWork, arguments: tuple[str, ...]
) -> None:
    keeper = Shopkeeper(SEED)
    with project.connect() as connection:
        connection.execute(
            "insert into sales select * from unnest(%s::int[], %s::int[],"
            " %s::text[], %s::numeric[], %s::timestamptz[])",
            columns([keeper.sale(sale) for sale in SALE_IDS], 5),
        )
        connection.commit()
        for is_edited in (False, True):
            if is_edited:
                project.edit("sale_days", "as day,", "as day, count(*) as two,")
                project.edit("sale_words", "as sold,", "as sold, sold_at::date as day,")
            result = project.dbt("run", *arguments, PGOPTIONS=OPTIONS)
            assert result.returncode == 0, result.stdout
            assert project.differences(connection) == {}, f"seed {SEED}"
            connection.commit()


def test_a_row_changed_twice_in_a_transaction_counts_once(
    deployed: ProjectAtWork,
) -> None:
    with deployed.connect() as connection:
        connection.execute("truncate sales; truncate shops")
        connection.execute("insert into shops values (1, 'north')")
        connection.execute("insert into sales values (1, 1, 'hat', 10, now())")
        connection.execute("update sales set amount = 20")
        connection.execute("update sales set amount = 30")
        assert deployed.differences(connection) == {}
        totals = connection.execute("select region, sales, revenue from region_totals")
        assert totals.fetchall() == [("north", 1, 30)]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_sum_is_finite_again_as_soon_as_its_rows_are(
    deployed: ProjectAtWork, value: str
) -> None:
    statements = [
        "insert into sales values (2, 1, 'hat', %s, '2026-01-01')",
        "update sales set amount = amount where sale_id = 2",
        "insert into sales values (3, 1, 'hat', 'Infinity', '2026-01-01')",
        "update sales set amount = 5 where sale_id = 2",
        "update sales set shop_id = 2 where sale_id = 3",
        "delete from sales where sale_id = 3",
    ]
    with deployed.connect() as connection:
        connection.execute("truncate sales; truncate shops")
        connection.execute("insert into shops values (1, 'north'), (2, 'south')")
        connection.execute("insert into sales values (1, 1, 'hat', 10, '2026-01-01')")
        for statement in statements:
            connection.execute(
                statement.encode(), [value] if "%s" in statement else None
            )
            assert deployed.differences(connection) == {}
        totals = connection.execute("select region, sales, revenue from region_totals")
        assert totals.fetchall() == [("north", 2, 15)]
        connection.rollback()


def test_a_group_of_no_rows_has_no_row(deployed: ProjectAtWork) -> None:
    with deployed.connect() as connection:
        connection.execute("truncate sales")
        connection.execute("insert into sales values (1, null, 'hat', 10, now())")
        assert connection.execute("select sales from region_totals").fetchall() == [
            (1,)
        ]
        connection.execute("delete from sales")
        assert connection.execute("select sales from region_totals").fetchall() == []


def test_what_moves_to_another_key_is_never_there_twice(
    deployed: ProjectAtWork,
) -> None:
    with deployed.connect() as connection:
        connection.execute("truncate shelves")
        connection.execute("create unique index on checked_shelves (ware)")
        connection.execute("insert into shelves values (1, 1, 'hat'), (1, 2, 'sock')")
        connection.execute("update shelves set place = place + 10")
        assert deployed.differences(connection) == {}
        connection.rollback()


def test_a_writer_waits_for_the_one_before_it(deployed: ProjectAtWork) -> None:
    def write_return() -> None:
        with deployed.connect() as connection:
            pids.append(connection.info.backend_pid)
            connection.execute("insert into returns values (1000, 1000, 1)")

    def waits() -> bool:
        return bool(
            watcher.execute(
                "select from pg_locks where pid = any(%s) and not granted", [pids]
            ).fetchall()
        )

    pids: list[int] = []
    second = threading.Thread(target=write_return)
    with deployed.connect() as first, deployed.connect() as watcher:
        first.execute("insert into sales values (1000, 1, 'hat', 10, now())")
        second.start()
        while second.is_alive() and not waits():
            time.sleep(0.01)
        first.commit()
        second.join()
        watcher.rollback()
        assert deployed.differences(watcher) == {}


def test_writers_at_once_miss_none_of_each_others_rows(deployed: ProjectAtWork) -> None:
    failures: list[BaseException] = []

    def write(seed: int) -> None:
        keeper = Shopkeeper(seed)
        with deployed.connect() as connection:
            for _ in range(40):
                statement, parameters = keeper.statement()
                try:
                    connection.execute(statement.encode(), parameters or None)
                    connection.commit()
                except (
                    psycopg.errors.DeadlockDetected,  # two locked several tables
                    psycopg.errors.UniqueViolation,  # two merged the same new row
                ):
                    # PostgreSQL also raises these without maintained views
                    connection.rollback()
                except BaseException as error:
                    failures.append(error)
                    raise

    writers = [threading.Thread(target=write, args=[SEED + n]) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failures
    with deployed.connect() as connection:
        assert deployed.differences(connection) == {}, f"seed {SEED}"


@pytest.mark.parametrize(
    "level",
    [psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE],
)
def test_a_writer_that_could_miss_rows_is_refused(
    deployed: ProjectAtWork, level: psycopg.IsolationLevel
) -> None:
    with deployed.connect() as connection:
        connection.isolation_level = level
        with pytest.raises(psycopg.errors.RaiseException, match="read committed"):
            connection.execute("insert into shops values (9, 'north')")
