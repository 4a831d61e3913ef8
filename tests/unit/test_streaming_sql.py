"""The models' SQL for the streaming engines, checked without an engine."""

import json
import os
import re
from pathlib import Path

import pglast
import pytest

from firstclick.core.project import PROJECT
from forked_dbt import run_dbt

TARGETS = ("materialize", "risingwave")

POSTGRESQL_ONLY = {
    "both": [
        *(r"\bcollate\b", r"\bhashtextextended\b", r"\bpg_input_is_valid\b"),
        *(r"\bconvert_to\b", r"\btrim_scale\b", r"\boffset 0\b", r"_maintenance\b"),
        *(r"\bpg_stat", r"\bcurrent_setting\b", r"\bnum_nulls\b", r"\bjson_table\b"),
    ],
    # Materialize also lacks now() in maintained queries; another test checks that
    "materialize": [r"\bdate_bin\b", r"\bconvert_from\(payload, 'utf8'\)::jsonb"],
    "risingwave": [
        *(r"::numeric\(", r"\bmz_now\b", r'"T"', r"!~\*|~\*"),
        # RisingWave's parser takes these names for functions and expects arguments
        r"\b(position|overlay|trim|substring|extract)\b(?! *\()",
        r"\bexcept all\b",
    ],
}

# The materialization writes the beginning of these statements
PARTS_OF_STATEMENTS = ("raw_clicks", "raw_purchases")

RECURSION = re.compile(r"with mutually recursive \([^)]*\)\s+(\w+) \([^)]*\)")
"""Materialize's syntax of a recursion; PostgreSQL has neither its options nor types."""

PASSWORD = "of-kafka"
AUTHORITY = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


@pytest.fixture(scope="module", params=TARGETS)
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """Compile the project for a target; return the target and dbt's output directory.

    The engine isn't there: nothing listens on its port.
    """
    directory = tmp_path_factory.mktemp(request.param)
    done = run_dbt(
        *("--quiet", "--no-populate-cache", "compile", "--no-introspect"),
        *("--target", request.param, "--select", "resource_type:model"),
        "resource_type:test",
        directory=PROJECT,
        environment={
            **os.environ,
            "PGHOST": "127.0.0.1",
            "PGPORT": "1",
            "FIRSTCLICK_SCHEMA": "firstclick",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": "shop",
            "KAFKA_SASL_PASSWORD": PASSWORD,
            "KAFKA_SSL_CA": AUTHORITY,
            "DBT_TARGET_PATH": str(directory / "target"),
            "DBT_LOG_PATH": str(directory / "logs"),
        },
    )
    assert done.returncode == 0, done.stdout
    return request.param, directory / "target"


@pytest.fixture(scope="module")
def compiled(project: tuple[str, Path]) -> tuple[str, dict[str, str]]:
    """Return the target and each model's compiled SQL, by name."""
    target, directory = project
    models = directory / "compiled" / "firstclick" / "models"
    return target, {
        file.stem: file.read_text()
        for file in models.rglob("*.sql")
        if file.parent.suffix != ".yml"
    }


def test_each_model_is_there(compiled: tuple[str, dict[str, str]]) -> None:
    _, models = compiled
    files = {file.stem for file in Path(PROJECT / "models").rglob("*.sql")}
    assert models.keys() == files - {"kafka_offsets", "kafka_tombstones"}


def test_nothing_is_left_that_only_postgresql_has(project: tuple[str, Path]) -> None:
    target, directory = project
    for file in (directory / "compiled").rglob("*.sql"):
        for pattern in POSTGRESQL_ONLY["both"] + POSTGRESQL_ONLY[target]:
            assert not re.search(pattern, file.read_text()), (file.stem, pattern)


def test_no_model_has_indexes_that_the_adapters_would_try_to_read(
    project: tuple[str, Path],
) -> None:
    _, directory = project
    nodes = json.loads((directory / "manifest.json").read_text())["nodes"]
    assert not [name for name, node in nodes.items() if node["config"].get("indexes")]


def test_a_zero_byte_is_looked_for_in_what_is_shown_as_text(
    compiled: tuple[str, dict[str, str]],
) -> None:
    target, models = compiled
    looked_for = {"materialize": "'^(?:0[1-9a-f]", "risingwave": "chr(0)"}[target]
    for column in ("event_key", "payload"):
        shown = models["base_clicks"].rpartition(f"end as {column}")[0]
        assert looked_for in shown.rpartition("case when reason is not null")[2]


def test_decimals_are_read_as_risingwave_prints_them(
    compiled: tuple[str, dict[str, str]],
) -> None:
    target, models = compiled
    if target == "risingwave":
        [pattern] = re.findall("'discount' ~ '([^']*)'", models["base_purchases"])
        for text in ("0", "-0.0", "0.999999", "0.000012", "1e-6", "-9e-6", "100.0"):
            assert re.search(pattern, text), text
        for text in ("1e-7", "1.2e-6", "10e-6", "0.1234567", "1e+16", "1e16", "NaN"):
            assert not re.search(pattern, text), text


def test_an_id_may_have_any_length(compiled: tuple[str, dict[str, str]]) -> None:
    _, models = compiled
    assert "octet_length(purchase_id)" not in models["base_purchases"]


def test_each_query_is_sql(compiled: tuple[str, dict[str, str]]) -> None:
    _, models = compiled
    for name, text in models.items():
        if name not in PARTS_OF_STATEMENTS:
            # The models use only syntax that the engines share with PostgreSQL
            pglast.parse_sql(RECURSION.sub(r"with recursive \1", text))


def test_kafkas_password_is_named_and_not_said(
    compiled: tuple[str, dict[str, str]],
) -> None:
    target, models = compiled
    assert not any(PASSWORD in text for text in models.values())
    if target == "risingwave":
        named = "properties.sasl.password = secret firstclick_sources.kafka_password"
        assert named in models["raw_clicks"] and named in models["raw_purchases"]


def test_an_authoritys_certificate_keeps_its_lines(
    compiled: tuple[str, dict[str, str]],
) -> None:
    target, models = compiled
    if target == "risingwave":
        assert f"properties.ssl.ca.pem = '{AUTHORITY}'" in models["raw_clicks"]


def test_no_query_reads_the_time_of_a_statement_where_it_is_maintained(
    compiled: tuple[str, dict[str, str]],
) -> None:
    target, models = compiled
    for name, text in models.items():
        if name.startswith("last_hour_") or name == "earliest_clicks":
            asks = set(re.findall(r"\b\w*now\(\)", text))
            assert asks == {"mz_now()" if target == "materialize" else "now()"}
