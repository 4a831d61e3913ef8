"""`firstclick verify` reports where a live pipeline differs from its messages."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings
from firstclick.verify import Finding, Verification, verify
from firstclick_generator import generate
from harness import Harness

A_ROW = {
    "base_clicks": "update {t} set click_at = 'Nowhere' where ctid = (select ctid"
    " from {t} where reason is null limit 1)",
    "int_purchases_validated": "delete from {t} where ctid = (select ctid from {t}"
    " where reason is not null limit 1)",
    "rejected_events": "update {t} set reason = 'no reason' where ctid = (select ctid"
    " from {t} limit 1)",
    "checkouts": "update {t} set profit = profit + 0.000001 where ctid = (select ctid"
    " from {t} where payment_status = 'failure' limit 1)",
    "minute_sources": "insert into {t} select minute, 'Nobody', true, 1, 1, 1"
    " from {t} limit 1",
    "minute_messages": "update {t} set messages = messages + 1"
    " where ctid = (select ctid from {t} where reason is null limit 1)",
}
"""A statement for each relation that makes one of its rows wrong."""

ALL_ROWS = {
    "base_clicks": "update {t} set click_at = 'Nowhere' where reason is null",
    "rejected_events": "update {t} set reason = 'no reason'",
    "checkouts": "update {t} set profit = profit + 0.000001",
    "minute_genders": "delete from {t}",
}


@pytest.fixture(scope="module")
def pipeline(stack: Pipeline) -> Iterator[Harness]:
    """Return the session's stack, with an hour of a small shop."""
    generate(
        stack.bootstrap_servers, rate=3, duration=0, anomaly_rate=0.1, backfill_hours=1
    )
    pipeline = Harness(stack)
    pipeline.settle()
    yield pipeline
    pipeline.close()


def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    main = "from firstclick.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", main, "verify", *arguments],
        env={**os.environ, "COLUMNS": "80", **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def verified(stack: Pipeline, sample: int) -> Verification:
    return verify(
        Settings.load().model_copy(update={"home": stack.home}), sample=sample
    )


def differing(findings: list[Finding] | None) -> dict[str, int]:
    return {
        finding.relation: finding.differing
        for finding in findings or []
        if finding.differing
    }


def unnoticed(
    connection: psycopg.Connection, table: sql.Identifier, statement: sql.Composed
) -> int:
    """Run a statement with the table's triggers disabled.

    Restores the triggers' state. Returns how many rows the statement changed.
    """
    enabling = connection.execute(
        "select format('alter table %%s enable %%s trigger %%I', tgrelid::regclass,"
        " case tgenabled when 'A' then 'always' else 'replica' end, tgname)"
        " from pg_trigger where tgrelid = %s::regclass"
        " and tgenabled in ('A', 'R') and not tgisinternal",
        [table.as_string()],
    ).fetchall()
    connection.execute(sql.SQL("alter table {} disable trigger user").format(table))
    changed = connection.execute(statement).rowcount
    for (enable,) in enabling:
        connection.execute(enable.encode())
    return changed


@contextmanager
def tampered(stack: Pipeline, statements: dict[str, str]) -> Iterator[None]:
    """Run statements without triggers, and undo their changes after the block."""
    with (
        psycopg.connect(stack.database_url, autocommit=True) as connection,
        ExitStack() as exits,
    ):
        for relation, statement in statements.items():
            names = {
                "t": sql.Identifier(stack.schema_name, relation),
                "kept": sql.Identifier(f"kept_{relation}"),
            }
            connection.execute(
                sql.SQL("create temporary table {kept} as select * from {t}").format(
                    **names
                )
            )
            exits.callback(
                unnoticed,
                connection,
                names["t"],
                sql.SQL("delete from {t}; insert into {t} select * from {kept}").format(
                    **names
                ),
            )
            tampering = sql.SQL(statement).format(**names)
            assert unnoticed(connection, names["t"], tampering) > 0
        yield


def test_a_pipeline_under_load_equals_its_messages(pipeline: Harness) -> None:
    home = str(pipeline.stack.home)
    with pipeline.flowing(rate=100, anomaly_rate=0.1):
        results = [run("--json", FIRSTCLICK_HOME=home) for _ in range(3)]
    moments = set()
    for result in results:
        assert (result.returncode, result.stderr) == (0, ""), result.stdout
        found = json.loads(result.stdout)
        assert found["equal"] is True
        rows = {row["relation"]: row["compared"] for row in found["recomputed"]}
        assert rows["checkouts"] > 500
        assert rows["last_hour_revenue"] == 1
        sampled = {row["relation"]: row["compared"] for row in found["sampled"]}
        assert sampled["stg_clicks"] > 200
        assert sampled["rejected_events"] > 0
        assert sampled["purchase_first_clicks"] > 50
        assert sampled["minute_revenue"] > 0
        moments.add(found["at"])
    assert len(moments) == 3


def test_a_row_that_was_tampered_with_is_found_in_its_relation(
    pipeline: Harness,
) -> None:
    pipeline.settle()
    with tampered(pipeline.stack, A_ROW):
        found = verified(pipeline.stack, sample=0)
    assert not found.equal
    of_relation = differing(found.recomputed)
    assert {name: of_relation.get(name) for name in A_ROW} == dict.fromkeys(A_ROW, 1)
    # These read none of the changed relations
    assert {"base_purchases", "minute_revenue"}.isdisjoint(of_relation)
    assert verified(pipeline.stack, sample=0).equal


def test_a_sample_shows_what_is_not_by_the_rules(pipeline: Harness) -> None:
    pipeline.settle()
    with tampered(pipeline.stack, ALL_ROWS):
        # A sample large enough to include a rejected event
        found = verified(pipeline.stack, sample=1_000)
    of_relation = differing(found.sampled)
    wrong = {"stg_clicks", "rejected_events", "checkouts", "minute_genders"}
    assert wrong <= set(of_relation)
    assert {"stg_purchases", "purchase_first_clicks"}.isdisjoint(of_relation)


def test_a_wrong_rule_is_found_by_the_sample(pipeline: Harness) -> None:
    """The sample finds it although the relation equals its SQL."""
    pipeline.settle()
    models = sql.Identifier(f"{pipeline.stack.schema_name}_maintenance", "models")
    name = f'%."{pipeline.stack.schema_name}"."minute_genders"'
    [(right,)] = pipeline.database.execute(
        sql.SQL("select sql from {} where relation like %s").format(models), [name]
    )
    wrong = right.replace("'success'", "'failure'")
    assert wrong != right
    remember = sql.SQL("update {} set sql = %s where relation like %s").format(models)
    with tampered(pipeline.stack, {"minute_genders": "delete from {t}"}):
        pipeline.database.execute(remember, [wrong, name])
        try:
            pipeline.database.execute(f"insert into minute_genders {wrong}".encode())
            found = verified(pipeline.stack, sample=100)
        finally:
            pipeline.database.execute(remember, [right, name])
    assert differing(found.recomputed) == {}
    assert set(differing(found.sampled)) == {"minute_genders"}


def test_people_are_told_the_first_row_that_differs_and_programs_get_it(
    pipeline: Harness,
) -> None:
    pipeline.settle()
    home = str(pipeline.stack.home)
    with tampered(pipeline.stack, {"checkouts": A_ROW["checkouts"]}):
        shown = run(FIRSTCLICK_HOME=home)
        told = run("--json", FIRSTCLICK_HOME=home)
    assert (shown.returncode, told.returncode) == (1, 1)
    *table, problem = shown.stdout.splitlines()
    assert table[0].startswith("differs")
    assert max(map(len, table)) <= 80
    assert problem.startswith("problem: checkouts: 1 of ")
    assert "; stored: purchase_id=" in problem
    assert "; expected: purchase_id=" in problem
    found = json.loads(told.stdout)
    assert found["equal"] is False
    [finding] = [row for row in found["recomputed"] if row["differing"]]
    assert (finding["relation"], finding["differing"]) == ("checkouts", 1)
    assert [example["side"] for example in finding["examples"]] == [
        "expected",
        "stored",
    ]


def test_a_seed_gives_the_same_sample_again(pipeline: Harness) -> None:
    pipeline.settle()
    settings = Settings.load().model_copy(update={"home": pipeline.stack.home})
    some = verify(settings, sample=40)
    again = verify(settings, sample=40, seed=some.seed)
    assert again.sampled == some.sampled
    assert verify(settings, sample=40).seed != some.seed


def test_without_models_it_says_what_to_do(servers: Pipeline, tmp_path: Path) -> None:
    result = run(
        FIRSTCLICK_HOME=str(tmp_path),
        DATABASE_URL=servers.database_url,
        FIRSTCLICK_SCHEMA="nobodys",
    )
    assert (result.returncode, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert "schema nobodys" in line
    assert "firstclick up" in line


def test_what_the_rules_do_not_settle_differs_from_nothing(pipeline: Harness) -> None:
    """Two cases: nesting too deep for Python only, and ids that aren't text."""
    ((event,),) = pipeline.query(
        "select payload from raw_clicks inner join stg_clicks"
        " on event_key = convert_to(click_id, 'UTF8') limit 1"
    )
    nested = b'{"more": ' + b"[" * 2_000 + b"]" * 2_000 + b", "
    document = json.loads(event) | {"click_id": "nested"}
    pipeline.send("clicks", b"nested", nested + json.dumps(document).encode()[1:])
    pipeline.send("purchases", b"listed", b'{"user_id": [], "product_id": {}}')
    pipeline.settle()
    assert pipeline.query("select 1 from stg_clicks where click_id = 'nested'")
    found = verified(pipeline.stack, sample=50_000)
    assert differing(found.sampled) == differing(found.recomputed) == {}


def test_a_message_is_the_same_however_many_processes_read(pipeline: Harness) -> None:
    """In a parallel query that writes, PostgreSQL functions can't catch errors."""
    reading = sql.SQL(
        "create temporary table {copy} as select"
        " {maintenance}.document(payload) as document,"
        " {maintenance}.utf8(payload) as text"
        " from raw_clicks"
    )
    maintenance = sql.Identifier(f"{pipeline.stack.schema_name}_maintenance")
    with pipeline.database.transaction(force_rollback=True):
        for name, processes in (("alone", 0), ("together", 2)):
            for setting, value in (
                ("max_parallel_workers_per_gather", processes),
                ("min_parallel_table_scan_size", 0),
                ("parallel_setup_cost", 0),
                ("parallel_tuple_cost", 0),
            ):
                pipeline.database.execute(
                    "select set_config(%s, %s, true)", [setting, str(value)]
                )
            copy = sql.Identifier(name)
            pipeline.database.execute(
                reading.format(copy=copy, maintenance=maintenance)
            )
        assert pipeline.query("select count(*) > 0 from alone") == [(True,)]
        assert pipeline.query("table alone except all table together") == []
