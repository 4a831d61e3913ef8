"""Users' objects survive the replacement of a relation, or it is refused by name."""

from typing import Any, LiteralString

import psycopg
import pytest
from project_at_work import ProjectAtWork

HUNG: LiteralString = """
create schema {schema}_mine;
-- Roles stay where a database goes
drop role if exists {schema}_analyst;
create role {schema}_analyst;

-- A view over a catalogue, which may not be locked
create view {schema}_mine.sizes as
    select totals.region, tables.n_live_tup
    from region_totals as totals, pg_stat_all_tables as tables;
create view {schema}_mine.statistics as select * from pg_stat_all_tables;
create view {schema}_mine.dear with (security_invoker) as
    select * from sale_details where amount > 290 with check option;
create materialized view {schema}_mine.by_shop as
    select shop_id, count(*) as sales from sale_details group by shop_id;
create unique index on {schema}_mine.by_shop (shop_id);
create materialized view {schema}_mine.unfilled as
    select * from sale_details with no data;
create view {schema}_mine.shops as select * from {schema}_mine.by_shop;
create function {schema}_mine.revenue(which text) returns numeric stable
    begin atomic select revenue from region_totals where region = which; end;
create view {schema}_mine.north as select {schema}_mine.revenue('north') as revenue;
create materialized view {schema}_mine.kept_north as
    select region, {schema}_mine.revenue(region) as revenue from region_totals;

create table {schema}_mine.notes (
    sale_id integer primary key references sale_details (sale_id), note text
);
insert into {schema}_mine.notes values (7, 'nice');
alter table {schema}_mine.notes enable row level security;
create policy only_dear on {schema}_mine.notes as restrictive for select
    using (exists (
        select from sale_details as sale where sale.sale_id = notes.sale_id
    ));
create rule notes_of_sales as on delete to {schema}_mine.notes do instead
    update {schema}_mine.notes set note = 'gone'
    from sale_details as sale where sale.sale_id = old.sale_id;

create function {schema}_mine.look() returns trigger language plpgsql
    as 'begin return null; end';
create trigger looks after insert on sale_details
    for each row execute function {schema}_mine.look();
alter table sale_details disable trigger looks;
create index sale_regions on sale_details (region) where amount > 1;
create statistics sale_pairs on shop_id, region from sale_details;
alter table sale_details add constraint positive check (sale_id > 0);
alter table sale_details alter column shop_id set statistics 7;
alter table sale_details set (fillfactor = 90, autovacuum_enabled = false);
alter table sale_details alter column sale_id set not null;
create unique index sale_identity on sale_details (sale_id);
alter table sale_details replica identity using index sale_identity;
alter table sale_details enable row level security;
create policy all_sales on sale_details for select to {schema}_analyst, public
    using (amount < 1000000);
comment on table sale_details is 'Sales''s details';
comment on column sale_details.region is 'where';
comment on view dear_sums is 'dear';
grant usage on schema {schema} to {schema}_analyst;
grant select on sale_details to {schema}_analyst with grant option;
grant select (region), references (sales) on region_totals to {schema}_analyst;
grant select (sales) on dear_sums to {schema}_analyst;
create rule silent as on insert to dear_sums do instead nothing;
create publication {schema}_some for table sale_details (sale_id, amount)
    where (sale_id > 0), region_totals, sales;
create publication {schema}_schema for tables in schema {schema};
"""

SEEN: LiteralString = """
select 'relation', pg_class.oid::regclass::text, relkind::text, relacl::text,
    relrowsecurity::text || relforcerowsecurity || coalesce(reloptions::text, ''),
    relreplident::text,
    case when relnamespace::regnamespace::text like '%%mine' and relkind in ('v', 'm')
        then pg_get_viewdef(pg_class.oid) end,
    obj_description(pg_class.oid, 'pg_class')
from pg_class where relnamespace::regnamespace::text = any(%(schemas)s)
    and relkind in ('r', 'v', 'm') and relname not in ('dear_sales')
union all
select 'column', attrelid::regclass::text, attname, attacl::text, attstattarget::text,
    attnotnull::text, col_description(attrelid, attnum), null
from pg_attribute inner join pg_class on pg_class.oid = attrelid
where relnamespace::regnamespace::text = any(%(schemas)s) and attnum > 0
    and relkind in ('r', 'v', 'm') and attname not in ('one', 'n_live_tup')
union all
select 'index', indexdef, null, null, null, null, null, null from pg_indexes
where schemaname = any(%(schemas)s)
union all
select 'identity', indexrelid::regclass::text, null, null, null, null, null, null
from pg_index where indisreplident and indrelid::regclass::text like '%%sale_details'
union all
select 'trigger', pg_get_triggerdef(pg_trigger.oid), tgenabled::text, null, null, null,
    null, null
from pg_trigger inner join pg_class on pg_class.oid = tgrelid
where relnamespace::regnamespace::text = any(%(schemas)s) and not tgisinternal
union all
select 'constraint', conname, conrelid::regclass::text, pg_get_constraintdef(oid), null,
    null, null, null
from pg_constraint where connamespace::regnamespace::text = any(%(schemas)s)
union all
select 'rule', rulename, schemaname || tablename, definition, null, null, null, null
from pg_rules where schemaname = any(%(schemas)s)
union all
select 'policy', policyname, tablename, permissive, roles::text, cmd, qual, with_check
from pg_policies where schemaname = any(%(schemas)s)
union all
select 'publication', pubname, tablename, replace(attnames::text, 'one,', ''),
    rowfilter, null, null, null
from pg_publication_tables where schemaname = any(%(schemas)s)
    and pubname like '%%some'
union all
select 'function', pg_get_functiondef(oid), null, null, null, null, null, null
from pg_proc where pronamespace::regnamespace::text = any(%(schemas)s)
union all
select 'statistics', pg_get_statisticsobjdef(oid), null, null, null, null, null, null
from pg_statistic_ext where stxnamespace::regnamespace::text = any(%(schemas)s)
order by 1, 2, 3, 4
"""

SINGLE_TRANSACTION = ("--vars", "single_transaction: true")


def seen(project: ProjectAtWork) -> list[tuple[Any, ...]]:
    """Return the definitions of all objects that users and the project have made."""
    with project.connect() as connection:
        schemas = [project.schema, f"{project.schema}_mine"]
        return connection.execute(SEEN, {"schemas": schemas}).fetchall()


def hang(project: ProjectAtWork, superuser: str) -> None:
    with psycopg.connect(superuser) as connection:
        # Only a superuser may publish all tables of a schema
        connection.execute("alter role firstclick superuser")
        connection.commit()
        with project.connect() as hanging:
            hanging.execute(HUNG.replace("{schema}", project.schema).encode())
        connection.execute("alter role firstclick nosuperuser")


def edit(project: ProjectAtWork) -> None:
    """Add a column to every relation that users' objects depend on."""
    project.edit("sale_details", "sales.product,", "sales.product, 1 as one,")
    for model in ("region_totals", "dear_sums"):
        project.edit(model, "as sales,", "as sales, count(*) as one,")


@pytest.mark.parametrize("single_transaction", [True, False])
def test_what_users_hung_on_relations_is_there_afterwards(
    filled: ProjectAtWork, superuser: str, single_transaction: bool
) -> None:
    hang(filled, superuser)
    before = seen(filled)
    edit(filled)
    result = filled.dbt("run", *(SINGLE_TRANSACTION if single_transaction else ()))
    assert result.returncode == 0, result.stdout
    assert seen(filled) == before
    with filled.connect() as connection:
        assert filled.differences(connection) == {}
        mine = f"{filled.schema}_mine"
        assert connection.execute(
            f"select (select count(*) from {mine}.by_shop), revenue,"
            f" (select count(*) from {mine}.kept_north where revenue is null)"
            f" from {mine}.north".encode()
        ).fetchall() == [(3, sum(range(1, 301, 3)), 1)]
        # The publications allow updates, as each table still has a replica identity
        connection.execute("update sales set amount = amount + 1 where sale_id > 200")
        connection.execute("update shops set region = 'west' where shop_id = 2")
        connection.execute("delete from sales where sale_id = 9")
        assert filled.differences(connection) == {}
    assert set(filled.run().values()) == {"unchanged"}


REFUSED: dict[str, tuple[LiteralString, str]] = {
    "a column of a row type": (
        "create table {schema}.mine (detail sale_details)",
        "column detail of table mine",
    ),
    "a function of a row type": (
        "create function {schema}.mine() returns setof sale_details language sql"
        " as 'select * from {schema}.sale_details'",
        "function mine()",
    ),
    "a view of a column that goes": (
        "create view {schema}.mine as select product from sale_details",
        'create view mine: column "product" does not exist',
    ),
    "a policy of a column that goes": (
        "create policy mine on sale_details using (product is null)",
        'create policy mine on sale_details: column "product" does not exist',
    ),
    "an index of a column that goes": (
        "create index mine on sale_details (product)",
        'column "product" does not exist',
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_carried_over_is_refused_by_name(
    filled: ProjectAtWork, kind: str
) -> None:
    statement, complaint = REFUSED[kind]
    with filled.connect() as connection:
        connection.execute(statement.replace("{schema}", filled.schema).encode())
    before = seen(filled)
    filled.edit("sale_details", "sales.product,", "sales.product as ware,")
    filled.edit("day_totals", "    product,\n", "    ware as product,\n")
    filled.edit("day_totals", "sold_at), product", "sold_at), ware")
    result = filled.dbt("run", *SINGLE_TRANSACTION)
    assert result.returncode != 0
    words = " ".join(result.stdout.replace(f"{filled.schema}.", "").split())
    assert complaint in words, words
    assert seen(filled) == before


def test_a_view_of_another_role_is_refused_by_name(
    filled: ProjectAtWork, superuser: str
) -> None:
    options = f"-c search_path={filled.schema}"
    with psycopg.connect(
        superuser, dbname=filled.database, options=options
    ) as connection:
        connection.execute("create view theirs as select * from sale_details")
    before = seen(filled)
    edit(filled)
    result = filled.dbt("run", *SINGLE_TRANSACTION)
    assert result.returncode != 0
    assert f"alter view {filled.schema}.theirs owner to postgres" in result.stdout
    assert "have firstclick own it, or take it away" in result.stdout
    assert seen(filled) == before


def test_what_is_not_replaced_keeps_the_indexes_of_users(filled: ProjectAtWork) -> None:
    with filled.connect() as connection:
        connection.execute("create index mine on sale_details (product)")
    before = seen(filled)
    filled.edit(
        "sale_details",
        "indexes=[{'columns': ['shop_id']}]",
        "indexes=[{'columns': ['region']}]",
    )
    assert filled.run("--select", "sale_details") == {"sale_details": "updated"}
    after = seen(filled)
    assert {row[1] for row in before} - {row[1] for row in after} == {
        row[1] for row in before if "sale_details_" in row[1] and "(shop_id)" in row[1]
    }
