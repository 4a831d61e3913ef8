"""Deploying again changes what was edited, and nothing else, while readers read."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from project_at_work import ProjectAtWork

SALES = """
insert into shops values (1, 'north'), (2, 'south');
insert into sales
select n, n % 3, 'hat', n, '2026-01-01' from generate_series(1, 300) as n;
insert into returns select n, n * 2, 1 from generate_series(1, 50) as n;
"""


@contextmanager
def reading(project: ProjectAtWork) -> Iterator[set[tuple[object, ...]]]:
    """Read totals and details in one statement over and over; yields what was seen."""
    seen: set[tuple[object, ...]] = set()
    failures: list[psycopg.Error] = []
    done = threading.Event()

    def read() -> None:
        with project.connect() as connection:
            connection.autocommit = True
            while not done.is_set():
                try:
                    seen.add(
                        connection.execute(
                            "select (select sum(revenue) from region_totals),"
                            " (select sum(amount) from sale_details),"
                            " (select count(*) from returned_sales),"
                            " (select amount from dear_sums)"
                        ).fetchone()
                        or ()
                    )
                except psycopg.Error as error:
                    failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield seen
    finally:
        done.set()
        reader.join()
    assert not failures


@pytest.fixture
def filled(project: ProjectAtWork) -> ProjectAtWork:
    project.run()
    with project.connect() as connection:
        connection.execute(SALES)
    return project


def test_what_was_not_edited_is_left_alone(deployed: ProjectAtWork) -> None:
    assert set(deployed.run().values()) == {"unchanged"}


def test_an_edit_reaches_everything_derived_from_it_at_once(
    filled: ProjectAtWork,
) -> None:
    with filled.connect() as connection:
        before = filled.differences(connection)
    assert before == {}
    filled.edit("named_sales", "product is not null", "amount > 100")
    filled.edit("sale_details", "sales.amount,", "sales.amount * 2 as amount,")
    with reading(filled) as seen:
        # Of the two, the view alone
        outcomes = filled.run("--select", "named_sales")
        assert outcomes == {"named_sales": "updated"}
        outcomes = filled.run()
    assert outcomes["sale_details"] == "updated"
    assert outcomes["large_sales"] == "unchanged"
    all_amounts = sum(range(1, 301))
    large_amounts = sum(range(101, 301))
    assert {(revenue, amounts) for revenue, amounts, *_ in seen} == {
        (all_amounts, all_amounts),
        (large_amounts, large_amounts),
        (2 * large_amounts, 2 * large_amounts),
    }
    with filled.connect() as connection:
        assert filled.differences(connection) == {}
        connection.execute("insert into sales values (900, 1, 'hat', 7000, now())")
        connection.execute("delete from shops where shop_id = 2")
        assert filled.differences(connection) == {}


def test_columns_may_come_and_go(filled: ProjectAtWork) -> None:
    filled.edit("sale_details", "sales.product,", "sales.product, 1 as one,")
    with reading(filled) as seen:
        assert filled.run("--select", "sale_details") == {"sale_details": "rebuilt"}
    assert len(seen) == 1
    with filled.connect() as connection:
        assert filled.differences(connection) == {}
        connection.execute("insert into sales values (900, 1, 'hat', 7000, now())")
        connection.execute("delete from shops where shop_id = 2")
        assert filled.differences(connection) == {}
    filled.edit("sale_details", "sales.product, 1 as one,", "sales.product,")
    assert filled.run()["sale_details"] == "rebuilt"
    with filled.connect() as connection:
        connection.execute("insert into sales values (901, 1, 'hat', 7000, now())")
        assert filled.differences(connection) == {}


def test_an_edit_that_fails_leaves_the_old_pipeline_running(
    filled: ProjectAtWork,
) -> None:
    filled.edit("sale_details", "sales.amount,", "sales.amount / 0 as amount,")
    with reading(filled) as seen:
        result = filled.dbt("run", "--select", "sale_details+")
    assert result.returncode == 1
    assert "division by zero" in result.stdout
    assert len(seen) == 1
    with filled.connect() as connection:
        connection.execute("insert into sales values (900, 1, 'hat', 7000, now())")
        assert filled.differences(connection) == {}
        total = connection.execute("select sum(revenue) from region_totals").fetchone()
        assert total == (sum(range(1, 301)) + 7000,)


def test_a_full_refresh_repairs_what_was_written_past_the_triggers(
    filled: ProjectAtWork,
) -> None:
    with filled.connect() as connection:
        connection.execute("delete from large_sales where sale_id < 100")
        connection.execute("update kind_counts set amount = 0")
        connection.commit()
        assert filled.differences(connection) != {}
    filled.run("--full-refresh")
    with filled.connect() as connection:
        assert filled.differences(connection) == {}


WRONG = {
    "no_delta": ("{{ config(keys='sale_id') }}", "delta is 'none'"),
    "no_keys": ("{{ config(delta='map') }}", "keys are missing"),
    "no_such_key": (
        "{{ config(delta='map', keys='id') }}",
        "the key 'id' is none of its columns",
    ),
    "joins": (
        "{{ config(delta='map', keys='sale_id') }} with x as (select 1) "
        "select s.sale_id from {{ source('shop', 'sales') }} as s cross join x",
        "delta='map' with a join",
    ),
    "two_origins": (
        "{{ config(delta='map', keys='sale_id', touched_by={'shops': 'shop_id'}) }}"
        " select s.sale_id, s.shop_id from {{ source('shop', 'sales') }} as s"
        " left join {{ source('shop', 'shops') }} using (shop_id)"
        " union all select return_id, null from {{ source('shop', 'returns') }}",
        "reads 2 relations that are not in it",
    ),
    "renamed_key": (
        "{{ config(delta='map', keys='sale', touched_by={'shops': 'shop_id'}) }}"
        " select s.sale_id as sale, s.shop_id from {{ source('shop', 'sales') }} as s"
        " left join {{ source('shop', 'shops') }} using (shop_id)",
        "the key 'sale' is no column of",
    ),
    "inner_look_up": (
        "{{ config(delta='map', keys='sale_id', touched_by={'shops': 'shop_id'}) }}"
        " select s.sale_id, s.shop_id from {{ source('shop', 'sales') }} as s"
        " inner join {{ source('shop', 'shops') }} using (shop_id)",
        "delta='map' with a join",
    ),
    "no_count": (
        "{{ config(delta='accumulate', keys='product', count='n') }} select product,"
        " sum(amount) as amount from {{ source('shop', 'sales') }} group by 1",
        "count is 'n'",
    ),
    "no_number": (
        "{{ config(delta='accumulate', keys='shop_id', count='n') }} select shop_id,"
        " count(*) as n, max(product) as m from {{ source('shop', 'sales') }}"
        " group by 1",
        "column 'm' is of type text",
    ),
    "clock": (
        "{{ config(delta='map', keys='sale_id') }} select sale_id from"
        " {{ source('shop', 'sales') }} where sold_at < now()",
        "it reads the clock",
    ),
    "twice": (
        "{{ config(delta='recompute', keys='sale_id') }} select a.sale_id from"
        " {{ source('shop', 'sales') }} as a, {{ source('shop', 'sales') }} as b",
        "more than once",
    ),
    "touched": (
        "{{ config(delta='recompute', keys='sale_id', touched_by={'shop': 'x'}) }}",
        "touched_by names 'shop', which it doesn't read",
    ),
    "touched_if": (
        "{{ config(delta='recompute', keys='sale_id', touched_if={'shops': 'true'}) }}",
        "touched_if names 'shops': expected a table that it reads",
    ),
    "touched_column": (
        "{{ config(delta='map', keys='sale_id', touched_by={'shops': 'sale_id'}) }}"
        " select s.sale_id, s.shop_id from {{ source('shop', 'sales') }} as s"
        " left join {{ source('shop', 'shops') }} using (shop_id)",
        "expected one that both it and 'shops' have",
    ),
}


def test_a_wrong_config_is_an_error_that_names_the_model(
    project: ProjectAtWork,
) -> None:
    for model, (text, _) in WRONG.items():
        if "select" not in text:
            text += " select sale_id from {{ source('shop', 'sales') }}"
        (project.directory / "models" / f"{model}.sql").write_text(text)
    printed = " ".join(project.dbt("run", "--select", *WRONG).stdout.split())
    for model, (_, complaint) in WRONG.items():
        assert f'."{model}": ' in printed
        assert complaint in printed, model
