"""The command that makes each wrong edit in a copy and runs the tests on it."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from firstclick.core.database import postgres_environment
from firstclick.core.pipeline import Pipeline
from firstclick.core.project import PROJECT
from firstclick.core.settings import Settings
from firstclick.dashboard.server.assets import VENDOR
from firstclick.operate import stack as stacks
from mutations.edits import EDITS, Edit

PYTEST = ["pytest", "-q", "-x", "-p", "no:cacheprovider"]

SUITES = {
    "dbt": ["dbt.cli.main", "--no-use-colors", "build"],
    "conformance": ["conformance", "hostile"],
    "maintained_view": [*PYTEST, "tests/maintained_view"],
    "connector": [
        *PYTEST,
        "tests/integration/test_connector.py",
        "tests/integration/test_connector_faults.py",
    ],
    "publisher": [*PYTEST, "tests/integration/test_publisher.py"],
    "roles": [*PYTEST, "tests/integration/test_worker_roles.py"],
}
"""The test suites, each as a Python module to run and its arguments."""

FAILURE = re.compile(
    r"^FAILED (?:\S+::)?(\S+)"  # pytest
    r"|^.*(?:Failure|Error) in (?:\w+ )?(\w+)"  # dbt
    r"|^(hostile, .*):$",  # conformance
    re.MULTILINE,
)

PATIENCE = 600
"""Seconds for a suite; one that hangs because of an edit has caught it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a suite: whether it failed, and which tests did."""

    failed: bool
    at: list[str]


def judge(suite: str, copy: Path, servers: Pipeline, schema: str) -> Verdict:
    """Run a suite on the copy of the project, in a schema of its own."""
    environment = {
        **os.environ,
        **postgres_environment(servers.database_url),
        "PYTHONPATH": os.pathsep.join(
            str(copy / part) for part in ("", "generator", "tests", "tests/support")
        ),
        "FIRSTCLICK_SCHEMA": schema,
        "DATABASE_URL": servers.database_url,
        "KAFKA_BOOTSTRAP_SERVERS": servers.bootstrap_servers,
    }
    try:
        run = subprocess.run(
            [sys.executable, "-m", *SUITES[suite]],
            cwd=copy,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Verdict(True, [f"not done in {PATIENCE} s"])
    found = ["".join(names) for names in FAILURE.findall(run.stdout)]
    at = list(dict.fromkeys(found)) or run.stdout.strip().splitlines()[-1:]
    return Verdict(run.returncode != 0, at if run.returncode else [])


@contextmanager
def copied() -> Iterator[Path]:
    """Copy the project's files, as they are now, into a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="firstclick-mutations-") as folder:
        # As root, servers that a test starts run as another user, who must get there
        os.chmod(folder, 0o755)
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name in filter(None, listed.split("\0")):
            if (PROJECT / name).exists():
                target = Path(folder, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(PROJECT / name, target)
        # Git ignores ECharts, which the live page serves
        shutil.copytree(VENDOR, Path(folder, VENDOR.relative_to(PROJECT)))
        yield Path(folder)


@contextmanager
def servers() -> Iterator[Pipeline]:
    """Start Kafka and PostgreSQL in a temporary home."""
    home = Path(tempfile.mkdtemp(prefix="firstclick-mutations-home-"))
    try:
        settings = Settings.load().model_copy(update={"home": home})
        yield stacks.start(settings, detach=False, servers_only=True).pipeline
    finally:
        stacks.down(home)
        shutil.rmtree(home)


def chosen(words: list[str]) -> list[Edit]:
    """Return the edits whose name contains one of the words, or all without words."""
    return [
        edit
        for edit in EDITS
        if not words or any(word in f"{edit.wrong} {edit.file}" for word in words)
    ]


def mutations(
    words: Annotated[
        list[str] | None, typer.Argument(help="Edits by a part of their names.")
    ] = None,
    all_suites: Annotated[
        bool, typer.Option("--all-suites", help="Go on when a suite has caught it.")
    ] = False,
) -> None:
    """Make small wrong edits one at a time and say which tests catch each.

    Takes about half a minute an edit. Ends with 1 where an edit is caught by none, or
    where a suite fails without any edit.
    """
    console = Console(highlight=False, soft_wrap=True)
    edits = chosen(words or [])
    survivors = 0
    with copied() as copy, servers() as stack:
        for suite in sorted({suite for edit in edits for suite in edit.suites}):
            verdict = judge(suite, copy, stack, f"right_{suite}")
            if verdict.failed:
                console.print(f"{suite} fails without any edit: {verdict.at}")
                raise SystemExit(1)
        for number, edit in enumerate(edits, 1):
            started = time.monotonic()
            before = edit.apply(copy)
            caught = {}
            for suite in edit.suites:
                verdict = judge(suite, copy, stack, f"wrong_{number}")
                if verdict.failed:
                    caught[suite] = verdict.at
                    if not all_suites:
                        break
            (copy / edit.file).write_text(before)
            survivors += not caught
            console.print(
                f"{number:3} {'caught' if caught else 'SURVIVES'}  {edit.wrong}"
                f"  ({edit.file}, {time.monotonic() - started:.0f} s)"
            )
            for suite, at in caught.items():
                more = f" and {len(at) - 3} more" if len(at) > 3 else ""
                console.print(f"      {suite}: {', '.join(at[:3])}{more}", markup=False)
    console.print(f"{len(edits) - survivors} of {len(edits)} wrong edits are caught")
    raise SystemExit(1 if survivors else 0)


if __name__ == "__main__":
    typer.run(mutations)
