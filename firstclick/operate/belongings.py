"""Tell the objects in a pipeline's schemas that First Click made from the user's."""

import re
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from firstclick.core.project import PROJECT

SEEDS = ("users", "products")

_MACHINERY = re.compile(r"\{\{ *maintenance(?:_schema\(\))? *\}\}\.(\w+)")
"""Matches the names of the tables and functions that macros create in the maintenance
schema, for example ``models`` in ``{{ maintenance }}.models``.
"""

_NEVER_OURS = ("policy", "rule", "publication relation", "publication namespace")
"""Kinds of objects that First Click never creates."""

# All objects that `drop schema … cascade` would drop: those that depend on the schema,
# and, recursively, those that depend on them. An internal part takes its owner along,
# as dropping a view's rule drops the view: hence the second half of the union, which
# follows dependencies of type 'i' in the other direction.
_GOING = """
with recursive going (classid, objid, objsubid) as (
    select 'pg_namespace'::regclass::oid, oid, 0
    from pg_namespace
    where nspname = any(%(schemas)s)

    union

    select hanging.*
    from going
    cross join lateral (
        select classid, objid, objsubid
        from pg_depend
        where refclassid = going.classid
            and refobjid = going.objid
            and (going.objsubid = 0 or refobjsubid in (0, going.objsubid))

        union all

        select refclassid, refobjid, 0
        from pg_depend
        where classid = going.classid and objid = going.objid and deptype = 'i'
    ) as hanging
)

select
    named.type,
    named.identity,
    coalesce(named.schema, case
        when cardinality(address.object_names) > 1 then address.object_names[1]
    end) as schema,
    coalesce(pg_class.relname, pg_proc.proname) as name,
    'i' = any(hangs.how) as is_part,
    hangs.in_schema and 'a' <> all(hangs.how) as is_member,
    trigger_function.pronamespace::regnamespace::text as calls
from going
cross join lateral (
    select
        array_agg(deptype) as how,
        bool_or(refclassid = 'pg_namespace'::regclass) as in_schema
    from pg_depend
    where pg_depend.classid = going.classid and pg_depend.objid = going.objid
) as hangs
cross join lateral pg_identify_object(classid, objid, objsubid) as named
cross join lateral pg_identify_object_as_address(classid, objid, objsubid) as address
left join pg_class on classid = 'pg_class'::regclass and pg_class.oid = objid
left join pg_proc on classid = 'pg_proc'::regclass and pg_proc.oid = objid
left join pg_trigger
    on classid = 'pg_trigger'::regclass
        and pg_trigger.oid = objid
        and not tgisinternal
left join pg_proc as trigger_function on trigger_function.oid = tgfoid
where classid <> 'pg_namespace'::regclass
order by named.type, named.identity
"""


def strangers(
    connection: psycopg.Connection, schemas: Sequence[str], project: Path = PROJECT
) -> list[str]:
    """Return, in words, the objects that a user would lose if the schemas were dropped.

    They are objects in the schemas that are not the pipeline's, and objects elsewhere
    that depend on the schemas. For example ``the view public.my_report``. The second of
    ``schemas`` is the maintenance schema; it may have no catalogue.
    """
    known = _known(connection, schemas[1], project)
    found = []
    for kind, identity, schema, name, is_part, is_member, calls in connection.execute(
        _GOING, {"schemas": list(schemas)}
    ):
        if is_part or (schema is not None and schema.startswith("pg_")):
            continue
        is_strange = (
            schema not in schemas
            or kind in _NEVER_OURS
            or (is_member and name not in known)
            or (calls is not None and calls.strip('"') not in schemas)
        )
        if is_strange:
            found.append(f"the {kind} {identity}")
    return found


def _known(connection: psycopg.Connection, maintenance: str, project: Path) -> set[str]:
    """Return the names that this version of the project or an earlier one creates."""
    known = {file.stem for file in (project / "models").rglob("*.sql")}
    known |= {file.stem for file in (project / "seeds").glob("*.csv")}
    for file in (project / "macros").rglob("*.sql"):
        known.update(_MACHINERY.findall(file.read_text()))
    catalogue = sql.Identifier(maintenance, "models")
    there = connection.execute("select to_regclass(%s)", [catalogue.as_string()])
    if there.fetchone() != (None,):
        rows = connection.execute(
            sql.SQL(
                "select relation from {models} union"
                " select jsonb_array_elements_text(parents || functions) from {models}"
            ).format(models=catalogue)
        )
        # dbt renders names as "database"."schema"."name"
        known |= {name.split('"')[-2] for (name,) in rows}
    # Each published relation has two tables of its own
    return known | {
        f"{name}_{its}" for name in known for its in ("changes", "published")
    }
