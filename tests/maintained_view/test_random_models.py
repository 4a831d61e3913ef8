"""Random models, too, equal their SQL after any changes to the tables.

Set `FIRSTCLICK_TEST_SEED` to repeat a run, and `FIRSTCLICK_TEST_LONG=1` for a long one.
"""

import os
import random
from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st
from test_deltas import Shopkeeper

from conftest import MakeProject

LONG = os.environ.get("FIRSTCLICK_TEST_LONG") == "1"
SEED = int(os.environ.get("FIRSTCLICK_TEST_SEED", random.randrange(1 << 32)))

Models = dict[str, str]
"""The text of each model's file, by name."""

SALES = "sales"
"""The source of the columns sale_id, shop_id, product, amount and sold_at."""

COLUMNS = {
    "shop_id": ["sales.shop_id", "nullif(sales.shop_id, 1)"],
    "product": [
        "sales.product",
        "upper(sales.product)",
        "nullif(sales.product, '')",
        "coalesce(sales.product, 'none')",
    ],
    "amount": [
        "sales.amount",
        "- sales.amount",
        "sales.amount * 2.50",
        "coalesce(sales.amount, 0)",
    ],
    "sold_at": [
        "sales.sold_at",
        "date_trunc('day', sales.sold_at)",
        "case when sales.amount > 10 then sales.sold_at end",
    ],
}

FILTERS = [
    "true",
    "sales.amount >= 50",
    "sales.amount is distinct from 50",
    "sales.product is not null",
    "sales.product <> 'hat'",
    "sales.shop_id in (1, 2)",
    "sales.sold_at < '2026-01-02'",
    "not (sales.amount > 0 and sales.product is null)",
]

ORDERS = [
    "sales.sold_at, sales.sale_id",
    "sales.sold_at desc nulls last, sales.sale_id",
    "sales.amount, sales.sale_id desc",
]

GROUPS = {
    "shop_id": "sales.shop_id",
    "product": "sales.product",
    "day": "date_trunc('day', sales.sold_at)",
}

SUMS = [
    "coalesce(sum(sales.amount), 0) as revenue",
    "coalesce(sum(sales.shop_id), 0) as shop_ids",
    "count(sales.amount) filter (where sales.amount < 0) as negative",
    "count(*) filter (where sales.product is null) as nameless",
    "coalesce(sum(sales.amount) filter (where sales.shop_id = 1), 0) as of_first_shop",
]


def read(relation: str) -> str:
    """Return the Jinja reference to a relation; the shop's tables are sources."""
    if relation in (SALES, "returns", "shops"):
        return f"{{{{ source('shop', '{relation}') }}}}"
    return f"{{{{ ref('{relation}') }}}}"


def model(sql: str, **config: object) -> str:
    settings = ", ".join(f"{name}={value!r}" for name, value in config.items())
    return f"{{{{ config({settings}) }}}}\n{sql}\n"


@st.composite
def like_sales(draw: st.DrawFn, parent: str) -> str:
    """Draw a model with the columns of sales, which reads another such relation."""
    kind = draw(
        st.sampled_from(["view", "per row", "look up", "inner join", "left join"])
    )
    columns = {name: draw(st.sampled_from(texts)) for name, texts in COLUMNS.items()}
    where = draw(st.sampled_from(FILTERS))
    join = ""
    if kind in ("look up", "inner join", "left join"):
        columns["shop_id"] = "sales.shop_id"
        columns["product"] = draw(
            st.sampled_from(["shops.region", "coalesce(shops.region, sales.product)"])
        )
        join = "inner" if kind == "inner join" else "left"
        join = f"{join} join {read('shops')} as shops on sales.shop_id = shops.shop_id"
    if kind == "inner join":
        where = draw(st.sampled_from([where, "shops.region <> 'none'"]))
    selected = ", ".join(f"{text} as {name}" for name, text in columns.items())
    sql = (
        f"select sales.sale_id, {selected}\nfrom {read(parent)} as sales\n{join}\n"
        f"where {where}"
    )
    match kind:
        case "view":
            return model(sql, materialized="view")
        case "per row":
            return model(sql, delta="per_row", unique_key="sale_id")
        case "look up":
            return model(
                sql,
                delta="per_row",
                unique_key="sale_id",
                lookup_keys={"shops": "shop_id"},
            )
        case "inner join":
            return model(sql, delta="by_key", unique_key="sale_id")
        case _:
            return model(
                sql,
                delta="by_key",
                unique_key="sale_id",
                lookup_keys={parent: "sale_id", "shops": "shop_id"},
                indexes=[{"columns": ["shop_id"]}],
            )


@st.composite
def totals(draw: st.DrawFn, parent: str) -> str:
    """Draw a model with sums and counts by one to three columns."""
    keys = draw(st.lists(st.sampled_from([*GROUPS]), min_size=1, unique=True))
    sums = draw(st.lists(st.sampled_from(SUMS), unique=True))
    groups = [f"{GROUPS[key]} as {key}" for key in keys]
    sql = (
        f"select {', '.join([*groups, 'count(*) as sales', *sums])}\n"
        f"from {read(parent)} as sales\nwhere {draw(st.sampled_from(FILTERS))}\n"
        f"group by {', '.join(GROUPS[key] for key in keys)}"
    )
    return model(sql, delta="aggregate", unique_key=keys, count="sales")


@st.composite
def totals_of_two(draw: st.DrawFn, parent: str) -> str:
    where = draw(st.sampled_from(FILTERS))
    sql = (
        "select 'sale' as kind, count(*) as number,"
        " coalesce(sum(sales.amount), 0) as amount\n"
        f"from {read(parent)} as sales where {where} group by 1\n"
        "union all\n"
        "select 'return', count(*), coalesce(sum(returns.refund), 0)\n"
        f"from {read('returns')} as returns group by 1"
    )
    return model(sql, delta="aggregate", unique_key="kind", count="number")


@st.composite
def movements(draw: st.DrawFn, parent: str) -> str:
    where = draw(st.sampled_from(FILTERS))
    sql = (
        "select 'sale' as kind, sales.sale_id as id, sales.amount\n"
        f"from {read(parent)} as sales where {where}\n"
        "union all\n"
        "select 'return', returns.return_id, - returns.refund\n"
        f"from {read('returns')} as returns"
    )
    return model(sql, delta="per_row", unique_key=["kind", "id"])


@st.composite
def extremes(draw: st.DrawFn, parent: str) -> str:
    """Draw a model with minima and maxima, which recomputes a group from its rows."""
    keys = draw(st.lists(st.sampled_from([*GROUPS]), min_size=1, unique=True))
    groups = ", ".join(f"{GROUPS[key]} as {key}" for key in keys)
    sql = (
        f"select {groups}, max(sales.amount) as dearest,"
        " min(sales.sold_at) as first_sold_at, sum(sales.amount) as revenue\n"
        f"from {read(parent)} as sales where {draw(st.sampled_from(FILTERS))}\n"
        f"group by {', '.join(GROUPS[key] for key in keys)}"
    )
    return model(sql, delta="by_key", unique_key=keys)


@st.composite
def first_sales(draw: st.DrawFn, parent: str) -> str:
    """Draw a model of each group's first sale, by `distinct on` or a window."""
    key = draw(st.sampled_from(["shop_id", "product"]))
    order, where = draw(st.sampled_from(ORDERS)), draw(st.sampled_from(FILTERS))
    sales = f"from {read(parent)} as sales where {where}"
    if draw(st.booleans()):
        sql = (
            f"select distinct on (sales.{key}) sales.{key}, sales.sale_id,"
            f" sales.amount\n{sales}\norder by sales.{key}, {order}"
        )
    else:
        sql = (
            f"select {key}, sale_id, amount\nfrom (\n"
            f"select sales.*, row_number() over (partition by sales.{key}"
            f" order by {order}) as position\n{sales}\n) as ranked\nwhere position = 1"
        )
    return model(sql, delta="by_key", unique_key=key)


@st.composite
def first_returns(draw: st.DrawFn, parent: str) -> str:
    """Draw a model of each sale's first return, by a lateral join."""
    order = draw(st.sampled_from(["returns.refund desc, ", "returns.refund, ", ""]))
    also = draw(st.sampled_from(["true", "returns.refund < sales.amount"]))
    sql = (
        "select sales.sale_id, sales.amount, firsts.return_id, firsts.refund\n"
        f"from {read(parent)} as sales\ncross join lateral (\n"
        f"select returns.return_id, returns.refund from {read('returns')} as returns\n"
        f"where returns.sale_id = sales.sale_id and {also}\n"
        f"order by {order}returns.return_id limit 1\n) as firsts\n"
        f"where {draw(st.sampled_from(FILTERS))}"
    )
    return model(
        sql, delta="by_key", unique_key="sale_id", lookup_keys={parent: "sale_id"}
    )


@st.composite
def returned_sales(draw: st.DrawFn, parent: str) -> str:
    sql = (
        "select returns.return_id, sales.sale_id, sales.product,"
        " sales.amount - returns.refund as kept\n"
        f"from {read('returns')} as returns\n"
        f"inner join {read(parent)} as sales on returns.sale_id = sales.sale_id\n"
        f"where {draw(st.sampled_from(FILTERS))}"
    )
    return model(sql, delta="by_key", unique_key="return_id")


@st.composite
def compared_sales(draw: st.DrawFn, parent: str, other: str) -> str:
    """Draw a join of two relations, through both of which a change may arrive.

    They may even be two views of the same table.
    """
    sql = (
        "select sales.sale_id, sales.amount, others.product as other_product,"
        " sales.amount - others.amount as difference\n"
        f"from {read(parent)} as sales\n"
        f"left join {read(other)} as others on sales.sale_id = others.sale_id\n"
        f"where {draw(st.sampled_from([*FILTERS, 'others.amount is not null']))}"
    )
    return model(
        sql,
        delta="by_key",
        unique_key="sale_id",
        lookup_keys={parent: "sale_id", other: "sale_id"},
    )


LEAVES: Sequence[Callable[[str], st.SearchStrategy[str]]] = (
    totals,
    totals_of_two,
    movements,
    extremes,
    first_sales,
    first_returns,
    returned_sales,
)


@st.composite
def projects(draw: st.DrawFn) -> Models:
    """Draw two to four models like sales, and one of every other kind on top."""
    models: Models = {}
    relations = [SALES]
    for number in range(draw(st.integers(2, 4))):
        name = f"sales_{number}"
        models[name] = draw(like_sales(draw(st.sampled_from(relations))))
        relations.append(name)
    for leaf in LEAVES:
        models[leaf.__name__] = draw(leaf(draw(st.sampled_from(relations))))
    parent, other = draw(st.permutations(relations))[:2]
    models["compared_sales"] = draw(compared_sales(parent, other))
    return models


# Seconds: Hypothesis takes up to 300 s to shrink a failing example
@pytest.mark.timeout(0 if LONG else 600)
@seed(SEED)
@settings(
    max_examples=200 if LONG else 4,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(
    models=projects(),
    random=st.randoms(use_true_random=False),
    transactions=st.integers(1, 40),
)
def test_any_models_equal_their_sql_after_any_transactions(
    make_project: MakeProject,
    models: Models,
    random: Random,
    transactions: int,
) -> None:
    note(f"FIRSTCLICK_TEST_SEED={SEED}")
    with make_project() as project:
        project.make_tables()
        for file in (project.directory / "models").glob("*.sql"):
            file.unlink()
        for name, text in models.items():
            note(f"{name}:\n{text}")
            (project.directory / "models" / f"{name}.sql").write_text(text)
        keeper = Shopkeeper(0)
        keeper.random = random
        with project.connect() as connection:
            for number in range(transactions):
                if number == transactions // 4:
                    # Deploy late, so that the tables may already have rows
                    project.run()
                if number == transactions // 2:
                    # Rebuild all models, each from others that are not visible yet.
                    # Commit first, or the deployment would wait for our own reads
                    connection.commit()
                    project.run("--full-refresh", "--vars", "single_transaction: true")
                for _ in range(random.choice([1, 1, 2])):
                    statement, parameters = keeper.statement()
                    note(f"{number}: {statement} {parameters}")
                    connection.execute(statement.encode(), parameters or None)
                connection.commit()
                if number >= transactions // 4:
                    assert project.differences(connection) == {}
