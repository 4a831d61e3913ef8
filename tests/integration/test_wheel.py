"""`pip install firstclick` works without the repository."""

import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstclick.core.project import PROJECT

REVENUE_BY_LOCATION = """
{{ config(materialized='view') }}

select
    users.location,
    sum(checkouts.total_cost) as revenue
from {{ ref('checkouts') }} as checkouts
inner join {{ ref('users') }} as users using (user_id)
group by users.location
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    _run("-m", "hatchling", "build", "-t", "wheel", "-d", str(directory), cwd=PROJECT)
    [built] = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel and its dependencies; return the environment's Python."""
    directory = tmp_path_factory.mktemp("installed")
    found = directory / "venv" / "bin" / "python"
    _run("-m", "uv", "venv", "--quiet", "--python", sys.executable, found.parents[1])
    _run(
        *("-m", "uv", "pip", "install", "--quiet", "--python", found),
        *("--constraint", PROJECT / "requirements.lock", wheel),
    )
    return found


@pytest.fixture
def directory(python: Path) -> Iterator[Path]:
    """Make an empty directory to work in, and stop its home at the end.

    It isn't in pytest's directory, because PostgreSQL's user can't access that one when
    root runs the tests.
    """
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o711)
        yield Path(name)
        _firstclick(python, Path(name), "down")


def test_an_install_adds_no_import_name_but_ours(python: Path) -> None:
    [record] = python.parents[1].rglob("firstclick-*.dist-info/RECORD")
    with record.open(newline="") as file:
        names = {Path(row[0]).parts[0] for row in csv.reader(file)}
    importable = {name for name in names if "-" not in name} - {"..", "__pycache__"}
    # dbt finds plugins by the prefix dbt_
    assert importable == {"firstclick", "firstclick_generator", "dbt_firstclick.py"}


def test_the_demo_runs_from_a_wheel(python: Path, directory: Path) -> None:
    shown = _firstclick(python, directory, "demo", "--duration", "5", "--rate", "100")
    assert shown.returncode == 0, shown.stderr
    assert "Models deployed" in shown.stdout


def test_a_project_that_init_wrote_is_deployed_as_you_edit_it(
    python: Path, directory: Path
) -> None:
    shop = directory / "a shop"
    assert _firstclick(python, directory, "init", shop.name).returncode == 0
    model = shop / "models" / "insights" / "revenue_by_location.sql"
    model.write_text(REVENUE_BY_LOCATION)
    variables = {"FIRSTCLICK_PROJECT": str(shop)}
    up = _firstclick(python, directory, "up", "--detach", **variables)
    assert up.returncode == 0, up.stderr
    # Commands on a running pipeline don't need FIRSTCLICK_PROJECT
    query = "select count(*) >= 0 from revenue_by_location"
    psql = _firstclick(python, directory, "psql", "-Atc", query)
    assert psql.stdout == "t\n", psql.stderr
    verify = _firstclick(python, directory, "verify")
    assert verify.returncode == 0, verify.stderr
    assert not (shop / "target").exists() and not (shop / "logs").exists()


def test_dbt_names_a_seed_that_is_not_utf_8(python: Path, directory: Path) -> None:
    _firstclick(python, directory, "init", "shop")
    seed = directory / "shop" / "seeds" / "users.csv"
    seed.write_bytes(seed.read_bytes() + b"U99999,Ren\xe9\n")
    parsed = _command(python, "dbt", directory / "shop", "parse")
    assert parsed.returncode != 0
    assert "users.csv, line 2002, user_id 'U99999': not in UTF-8" in parsed.stdout


def test_a_directory_that_is_not_empty_is_left_alone(
    python: Path, directory: Path
) -> None:
    kept = directory / "shop" / "notes.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    refused = _firstclick(python, directory, "init", "shop")
    assert refused.returncode != 0
    assert refused.stderr.startswith("firstclick: shop is not empty, expected an empty")
    assert [path.name for path in kept.parent.iterdir()] == ["notes.txt"]


def test_a_project_that_is_none_is_named(python: Path, directory: Path) -> None:
    refused = _firstclick(
        python, directory, "up", FIRSTCLICK_PROJECT=str(directory / "nowhere")
    )
    assert refused.returncode != 0
    assert "FIRSTCLICK_PROJECT is" in refused.stderr
    assert "firstclick init" in refused.stderr


def _firstclick(
    python: Path, directory: Path, *arguments: str, **variables: str
) -> "subprocess.CompletedProcess[str]":
    return _command(python, "firstclick", directory, *arguments, **variables)


def _command(
    python: Path, name: str, directory: Path, *arguments: str, **variables: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [python.with_name(name), *arguments],
        cwd=directory,
        env={
            **{
                name: os.environ[name]
                for name in ("HOME", "LANG")
                if name in os.environ
            },
            "PATH": f"{python.parent}{os.pathsep}{os.defpath}",
            "FIRSTCLICK_HOME": str(directory / "home"),
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def _run(*arguments: str | Path, cwd: Path | None = None) -> None:
    subprocess.run([sys.executable, *arguments], cwd=cwd, check=True)
