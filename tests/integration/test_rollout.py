"""Deployments on an empty engine, and on one where an earlier deployment failed.

These tests have no streaming engine. They run the steps of dbt, which all engines
share, on the embedded database. For the others, dbt lists the nodes that each step
selects.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from firstclick.core.errors import DeploymentError
from firstclick.core.pipeline import Pipeline
from firstclick.core.project import PROJECT
from firstclick.core.settings import Settings
from firstclick.deploy.models import SEEDS, SOURCES, Models
from forked_dbt import run_dbt

pytestmark = pytest.mark.timeout(300)


def chosen(target: str, directory: Path, *arguments: str) -> dict[str, set[str]]:
    """Return the nodes that dbt selects by these arguments, with their parents."""
    done = run_dbt(
        *("--quiet", "ls", *arguments, "--target", target, "--output", "json"),
        *("--output-keys", "unique_id", "depends_on"),
        directory=PROJECT,
        environment={
            **os.environ,
            "DBT_TARGET_PATH": str(directory / "target"),
            "DBT_LOG_PATH": str(directory / "logs"),
        },
    )
    assert done.returncode == 0, done.stdout
    nodes = [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"]
    return {
        node["unique_id"]: set(node.get("depends_on", {}).get("nodes", ()))
        for node in nodes
    }


@pytest.mark.parametrize("target", ["materialize", "risingwave", "embedded"])
def test_each_step_of_a_first_deployment_depends_on_the_ones_before_alone(
    tmp_path: Path, target: str
) -> None:
    command, *selected = SEEDS
    assert command == "build"
    seeds = chosen(target, tmp_path, *selected)
    names = {name for name in seeds if name.startswith("seed.")}
    assert {name.rpartition(".")[2] for name in names} == {"users", "products"}
    tests = seeds.keys() - names
    assert {name.partition(".")[0] for name in tests} == {"test"}
    for name in tests:
        assert seeds[name] <= names, name

    sources = chosen(target, tmp_path, "--resource-type", "model", *SOURCES)
    assert {"raw_clicks", "raw_purchases"} <= {n.rpartition(".")[2] for n in sources}
    for name, parents in sources.items():
        assert parents <= names | sources.keys(), name

    models = chosen(target, tmp_path, "--resource-type", "model")
    for name, parents in models.items():
        assert parents <= names | models.keys(), name


def forked(
    command: list[str], *, cwd: Path, env: dict[str, str], **_: object
) -> "subprocess.CompletedProcess[str]":
    """Run a command of dbt as `subprocess.run` does, but in a fork of this process."""
    *start, module = command[:3]
    assert (start, module) == ([sys.executable, "-m"], "dbt.cli.main")
    return run_dbt(*command[3:], directory=cwd, environment=env)


def test_first_failed_repeated_and_second_deployments(
    servers: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Other runs of dbt would overwrite the parsed project that these runs share
    for name in ("DBT_TARGET_PATH", "DBT_LOG_PATH"):
        monkeypatch.setenv(name, str(tmp_path))
    settings = Settings.load().model_copy(update={"schema_name": "rollout"})
    models = Models(settings, servers.database_url)

    def relations() -> set[str]:
        with psycopg.connect(servers.database_url) as connection:
            return {
                name
                for (name,) in connection.execute(
                    "select relname from pg_class"
                    " where relnamespace = to_regnamespace('rollout')"
                    " and relkind in ('r', 'v')"
                )
            }

    models.build_sources()
    # Fork dbt from here on, which is faster than starting it
    monkeypatch.setattr(subprocess, "run", forked)
    assert {"users", "products", "raw_clicks", "raw_purchases"} <= relations()
    assert "checkouts" not in relations()
    with pytest.raises(DeploymentError, match=r"dbt run .* deploy again") as failed:
        models.dbt("run", attribution_window="a while")
    assert "a while" in str(failed.value)
    before = relations()
    assert "checkouts" not in before

    models.build()
    assert before < relations() >= {"checkouts", "checkouts_topic", "minute_sources"}
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        customers = sql.SQL("select count(*) from rollout.users")
        counted = connection.execute(customers).fetchone()
        models.build()
        assert connection.execute(customers).fetchone() == counted
