"""A deployment changes the edited models, and only these, while readers read."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import LiteralString

import psycopg
from project_at_work import ProjectAtWork

TOTALS: LiteralString = """
select (select sum(revenue) from region_totals), (select sum(amount) from sale_details),
    (select count(*) from returned_sales), (select amount from dear_sums)
"""


@contextmanager
def reading(
    project: ProjectAtWork, query: LiteralString = TOTALS
) -> Iterator[set[tuple[object, ...]]]:
    """Run a query over and over while the block runs; yield the set of its answers."""
    seen: set[tuple[object, ...]] = set()
    failures: list[psycopg.Error] = []
    done = threading.Event()

    def read() -> None:
        with project.connect() as connection:
            connection.autocommit = True
            while not done.is_set():
                try:
                    seen.add(connection.execute(query).fetchone() or ())
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
        # Of the two edited models, only the view
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


def test_a_catalogue_of_an_earlier_version_is_understood(filled: ProjectAtWork) -> None:
    catalogue = f"{filled.schema}_maintenance.models"
    names = {
        '"per_row"': '"map"',
        '"by_key"': '"recompute"',
        '"aggregate"': '"accumulate"',
        '"unique_key"': '"keys"',
        '"lookup_keys"': '"touched_by"',
        '"affects_when"': '"touched_if"',
        # A table that was renamed, and that a view in between does not read any more
        '{"returns": ': '{"refunds": ',
    }
    with filled.connect() as connection:
        for today, earlier in names.items():
            connection.execute(
                f"update {catalogue} set"  # type: ignore[arg-type]
                " kind = replace(to_json(kind)::text, %(today)s, %(earlier)s)"
                "::json #>> '{}',"
                " config = replace(config::text, %(today)s, %(earlier)s)::jsonb",
                {"today": today, "earlier": earlier},
            )
    filled.edit("named_sales", "product is not null", "amount > 100")
    assert filled.run("--select", "named_sales") == {"named_sales": "updated"}
    with filled.connect() as connection:
        assert filled.differences(connection) == {}


SINGLE_TRANSACTION = ("run", "--vars", "single_transaction: true")

NEW = """
{{ config(delta='aggregate', unique_key='shop_id', count='sales') }}
select shop_id, count(*) as sales from {{ ref('sale_details') }} group by shop_id
"""


def edit_everything(project: ProjectAtWork) -> None:
    """Make edits of every kind.

    Columns come and go, with the models that read them adapted; models are added,
    renamed and turned from tables into views and back.
    """
    table, view = "delta='per_row', unique_key='sale_id'", "materialized='view'"
    project.edit("large_sales", table, view)
    project.edit("dear_sales", view, table)
    project.edit("named_sales", "product is not null", "amount > 100")
    project.edit("sale_details", "sales.product,", "1 as one, sales.product as ware,")
    project.edit("sale_details", "sales.amount,", "sales.amount * 2 as amount,")
    project.edit("day_totals", "    product,\n", "    ware as product,\n")
    project.edit("day_totals", "sold_at), product", "sold_at), ware")
    (project.directory / "models" / "shop_sales.sql").write_text(NEW)
    (project.directory / "models" / "returned_sales.sql").rename(
        project.directory / "models" / "kept_sales.sql"
    )


def made(project: ProjectAtWork) -> list[tuple[object, ...]]:
    """Return all relations, columns, indexes, functions and triggers of the project."""
    with project.connect() as connection:
        return connection.execute(
            """
            with there as (
                select oid from pg_namespace where nspname like current_schema || '%'
            )
            select pg_class.oid, pg_class.relname, attname, atttypid from pg_class
            inner join pg_attribute on attrelid = pg_class.oid
            where relnamespace in (select oid from there)
            union all
            select oid, proname, prosrc, null from pg_proc
            where pronamespace in (select oid from there)
            union all
            select pg_trigger.oid, tgname, pg_get_triggerdef(pg_trigger.oid), tgfoid
            from pg_trigger inner join pg_class on pg_class.oid = tgrelid
            where relnamespace in (select oid from there)
            order by 1, 2, 3
            """
        ).fetchall()


def test_all_edits_of_a_run_become_visible_at_once(filled: ProjectAtWork) -> None:
    amounts = sum(range(1, 301)), 2 * sum(range(101, 301))
    with filled.connect() as connection:
        connection.execute("grant select on dear_sums, day_totals to public")
        connection.execute("create view days as select * from day_totals")
    edit_everything(filled)
    filled.edit("dear_sums", "sum(amount)", "0 * sum(amount)")
    query = (
        "select (select sum(revenue) from region_totals),"
        " (select sum(amount) from sale_details),"
        " (select sum(revenue) from days),"
        " (select amount > 0 from dear_sums)"
    )
    with reading(filled, query) as seen:
        result = filled.dbt(*SINGLE_TRANSACTION)
        assert result.returncode == 0, result.stdout
    before, after = amounts
    assert seen == {
        (before, before, before, True),
        (after, after, after, False),
    }
    assert {"Model shop_sales created", "Model sale_details rebuilt"} <= {
        line[10:] for line in result.stdout.splitlines()
    }
    with filled.connect() as connection:
        assert filled.differences(connection) == {}
        connection.execute("insert into sales values (900, 1, 'hat', 7000, now())")
        connection.execute("delete from shops where shop_id = 2")
        assert filled.differences(connection) == {}
        assert connection.execute(
            "select to_regclass('returned_sales'), (select count(*) from shop_sales),"
            " has_table_privilege('public', 'dear_sums', 'select'),"
            " has_table_privilege('public', 'day_totals', 'select')"
        ).fetchone() == (None, 3, True, True)
    assert "Model " not in made_again(filled)


def test_readers_read_while_all_is_computed(filled: ProjectAtWork) -> None:
    edit_everything(filled)
    filled.edit("dear_sums", "sum(amount)", "sum(2 * amount)")
    # Computing this model waits for our lock, after much else has been computed
    text = NEW.replace(
        "group by", "where pg_advisory_lock_shared(7) is not null group by"
    )
    (filled.directory / "models" / "shop_sales.sql").write_text(text)
    with (
        filled.connect() as first,
        filled.connect() as watcher,
        ThreadPoolExecutor() as pool,
    ):
        first.execute("select pg_advisory_lock(7)")
        deploying = pool.submit(filled.dbt, *SINGLE_TRANSACTION)
        try:
            while (
                not deploying.done()
                and not watcher.execute(
                    "select from pg_locks where locktype = 'advisory' and objid = 7"
                    " and not granted"
                ).fetchall()
            ):
                time.sleep(0.01)
            assert not deploying.done(), deploying.result().stdout
            names = watcher.execute(
                "select string_agg(oid::regclass::text, ', ') from pg_class where"
                " relnamespace = current_schema::regnamespace and relkind in ('r', 'v')"
            ).fetchone()
            assert names is not None
            watcher.execute(
                f"lock table {names[0]} in access share mode nowait".encode()
            )
            watcher.rollback()
        finally:
            first.execute("select pg_advisory_unlock(7)")
        assert deploying.result().returncode == 0, deploying.result().stdout
    with filled.connect() as connection:
        assert filled.differences(connection) == {}


TOPIC = """
{{ config(materialized='kafka_sink', unique_key='sale_id') }}
select sale_id, amount::text as amount from {{ ref('sale_details') }}
"""


def test_what_differs_after_a_run_at_once_is_published_again(
    filled: ProjectAtWork,
) -> None:
    def changes() -> list[str]:
        with filled.connect() as connection:
            return [
                sale
                for (sale,) in connection.execute(
                    "delete from sale_details_changes returning sale_id"
                )
            ]

    topic = filled.directory / "models" / "sale_topic.sql"
    topic.write_text(TOPIC)
    assert filled.dbt(*SINGLE_TRANSACTION).returncode == 0
    assert len(changes()) == 300
    filled.edit("named_sales", "product is not null", "sale_id > 1")
    filled.edit(
        "sale_details", "sales.amount,", "sales.amount + sale_id / 299 as amount,"
    )
    assert filled.dbt(*SINGLE_TRANSACTION).returncode == 0
    assert sorted(changes()) == ["1", "299", "300"]
    topic.write_text(TOPIC.replace("::text", "::integer::text"))
    filled.edit("named_sales", "sale_id > 1", "sale_id > 2")
    assert filled.dbt(*SINGLE_TRANSACTION).returncode == 0
    assert len(changes()) == 299
    with filled.connect() as connection:
        connection.execute("insert into sales values (900, 1, 'hat', 7000, now())")
    assert changes() == ["900"]


def made_again(project: ProjectAtWork) -> str:
    """Deploy all at once, assert that nothing changes, and return the output.

    The output is without the lines that say that a model has begun.
    """
    before = made(project)
    result = project.dbt(*SINGLE_TRANSACTION)
    assert result.returncode == 0, result.stdout
    assert made(project) == before
    return "\n".join(
        line for line in result.stdout.splitlines() if not line.endswith(" begun")
    )


def test_a_run_at_once_that_fails_changes_nothing(filled: ProjectAtWork) -> None:
    before = made(filled)
    edit_everything(filled)
    (filled.directory / "models" / "shop_sales.sql").write_text(
        NEW.replace("count(*)", "sum(1 / 0)")
    )
    with reading(filled) as seen:
        result = filled.dbt(*SINGLE_TRANSACTION)
    assert result.returncode != 0
    assert "division by zero" in result.stdout
    assert len(seen) == 1
    filled.edit("shop_sales", "sum(1 / 0) as sales", "no_column")
    assert filled.dbt(*SINGLE_TRANSACTION).returncode != 0
    filled.edit("shop_sales", "no_column", "{{ no_macro() }}")
    assert filled.dbt(*SINGLE_TRANSACTION).returncode != 0
    assert made(filled) == before
    with filled.connect() as connection:
        connection.execute("insert into sales values (900, 1, 'hat', 7000, now())")
        assert filled.differences(connection) == {}
    (filled.directory / "models" / "shop_sales.sql").write_text(NEW)
    result = filled.dbt(*SINGLE_TRANSACTION)
    assert result.returncode == 0, result.stdout
    with filled.connect() as connection:
        assert filled.differences(connection) == {}


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


def test_a_run_repairs_sums_that_an_older_version_left_without_a_number(
    filled: ProjectAtWork,
) -> None:
    with filled.connect() as connection:
        connection.execute("update region_totals set revenue = 'NaN'")
        connection.execute(
            f"update {filled.schema}_maintenance.models set triggers_hash = 'older'"
            " where relation like '%region_totals%'".encode()
        )
    filled.run()
    with filled.connect() as connection:
        assert filled.differences(connection) == {}


WRONG = {
    "no_delta": ("{{ config(unique_key='sale_id') }}", "delta is 'none'"),
    "no_keys": ("{{ config(delta='per_row') }}", "unique_key is missing"),
    "no_such_key": (
        "{{ config(delta='per_row', unique_key='id') }}",
        "the key 'id' is none of its columns",
    ),
    "joins": (
        "{{ config(delta='per_row', unique_key='sale_id') }} with x as (select 1) "
        "select s.sale_id from {{ source('shop', 'sales') }} as s cross join x",
        "delta='per_row' with a join",
    ),
    "two_origins": (
        "{{ config(delta='per_row', unique_key='sale_id',"
        " lookup_keys={'shops': 'shop_id'}) }}"
        " select s.sale_id, s.shop_id from {{ source('shop', 'sales') }} as s"
        " left join {{ source('shop', 'shops') }} using (shop_id)"
        " union all select return_id, null from {{ source('shop', 'returns') }}",
        "reads 2 relations that are not in it",
    ),
    "renamed_key": (
        "{{ config(delta='per_row', unique_key='sale',"
        " lookup_keys={'shops': 'shop_id'}) }}"
        " select s.sale_id as sale, s.shop_id from {{ source('shop', 'sales') }} as s"
        " left join {{ source('shop', 'shops') }} using (shop_id)",
        "the key 'sale' is no column of",
    ),
    "inner_look_up": (
        "{{ config(delta='per_row', unique_key='sale_id',"
        " lookup_keys={'shops': 'shop_id'}) }}"
        " select s.sale_id, s.shop_id from {{ source('shop', 'sales') }} as s"
        " inner join {{ source('shop', 'shops') }} using (shop_id)",
        "delta='per_row' with a join",
    ),
    "no_count": (
        "{{ config(delta='aggregate', unique_key='product', count='n') }}"
        " select product,"
        " sum(amount) as amount from {{ source('shop', 'sales') }} group by 1",
        "count is 'n'",
    ),
    "no_number": (
        "{{ config(delta='aggregate', unique_key='shop_id', count='n') }}"
        " select shop_id,"
        " count(*) as n, max(product) as m from {{ source('shop', 'sales') }}"
        " group by 1",
        "column 'm' is of type text",
    ),
    "clock": (
        "{{ config(delta='per_row', unique_key='sale_id') }} select sale_id from"
        " {{ source('shop', 'sales') }} where sold_at < now()",
        "it reads the clock",
    ),
    "twice": (
        "{{ config(delta='by_key', unique_key='sale_id') }} select a.sale_id from"
        " {{ source('shop', 'sales') }} as a, {{ source('shop', 'sales') }} as b",
        "more than once",
    ),
    "touched": (
        "{{ config(delta='by_key', unique_key='sale_id', lookup_keys={'shop': 'x'}) }}",
        "lookup_keys names 'shop', which it doesn't read",
    ),
    "affects_when": (
        "{{ config(delta='by_key', unique_key='sale_id',"
        " affects_when={'shops': 'true'}) }}",
        "affects_when names 'shops': expected a table that it reads",
    ),
    "touched_column": (
        "{{ config(delta='per_row', unique_key='sale_id',"
        " lookup_keys={'shops': 'sale_id'}) }}"
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
