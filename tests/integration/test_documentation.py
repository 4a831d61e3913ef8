"""The README and the tutorial: you can do what they say, and you see what they show.

Their commands run in order, in a copy of the clone, as in one shell. A block with a
title is a file that you create. A block of text is what the command before it shows.
"""

import hashlib
import json
import os
import re
import selectors
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]
README = "README.md"
TUTORIAL = "docs/tutorial/index.md"
ATTRIBUTION = "docs/explanation/attribution.md"
PANEL = "grafana/dashboards/insights.json, at the end of panels"
TIMEOUT_S = 240
"""For one block, on a busy machine."""
pytestmark = pytest.mark.timeout(3 * TIMEOUT_S)

FENCE = re.compile(
    r'^```(\w+)(?: title="(.+?)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    title: str
    text: str
    place: str


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text()
    return [
        Block(
            found[1],
            found[2] or "",
            found[3],
            f"{page}:{text[: found.start()].count(chr(10)) + 1}",
        )
        for found in FENCE.finditer(text)
    ]


class Shell:
    """A shell that keeps variables from one command to the next."""

    def __init__(self, directory: Path, **variables: str) -> None:
        self._process = subprocess.Popen(
            ["bash"],
            cwd=directory,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, commands: str, place: str) -> str:
        """Return what the commands show; fail if one of them fails."""
        process, end = self._process, f"the end of {place}: "
        assert process.stdin and process.stdout
        # Run it in this shell, to keep its variables, but stop at the first failure
        script = f"set -e\n{commands}\nset +e\nprintf '{end}0\\n'\n"
        process.stdin.write(script.encode())
        process.stdin.flush()
        shown, deadline = b"", time.monotonic() + TIMEOUT_S
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while end.encode() not in shown:
                left = deadline - time.monotonic()
                assert selector.select(max(left, 0)), f"{place} lasts: {shown.decode()}"
                read = os.read(process.stdout.fileno(), 65536)
                assert read, f"{place} fails: {shown.decode()}"
                shown += read
        return shown.decode().partition(end)[0]

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(TIMEOUT_S)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the clone, with a .venv that scripts/environment takes for up to date."""
    copy = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
            (copy / name).chmod((ROOT / name).stat().st_mode)
    (copy / ".venv").mkdir()
    (copy / ".venv" / "bin").symlink_to(Path(sys.prefix) / "bin")
    made_from = (ROOT / name for name in ("requirements.lock", "pyproject.toml"))
    (copy / ".venv" / "requirements.sha256").write_text(
        hashlib.sha256(b"".join(path.read_bytes() for path in made_from)).hexdigest()
    )
    return copy


@pytest.fixture(scope="module")
def home(make_home: Callable[[], Path]) -> Path:
    return make_home()


@pytest.fixture(scope="module")
def shell(clone: Path, home: Path) -> Iterator[Shell]:
    # The installed package runs the models and the dashboards of the copy
    opened = Shell(clone, FIRSTCLICK_HOME=str(home), FIRSTCLICK_PROJECT=str(clone))
    yield opened
    opened.close()


def shortened(commands: str) -> str:
    """Return the commands with durations of a few seconds."""
    commands = re.sub(r"--duration \d+", "--duration 3", commands)
    return re.sub(r"^scripts/demo$", "scripts/demo --duration 3", commands, flags=re.M)


def columns(table: str) -> list[str]:
    """Return the names of the columns in a table that psql printed."""
    head, _, _ = table.partition("\n-")
    return [name.strip() for name in head.splitlines()[-1].split("|")]


def follow(steps: list[Block], shell: Shell, clone: Path) -> None:
    """Run the commands of a page, and compare what they show."""
    shown = ""
    for block in steps:
        if block.title == PANEL:
            file = clone / PANEL.partition(",")[0]
            dashboard = json.loads(file.read_text())
            dashboard["panels"].append(json.loads(block.text))
            file.write_text(json.dumps(dashboard))
        elif block.title:
            (clone / block.title).write_text(block.text)
        elif block.language == "sh":
            shown = shell.run(shortened(block.text), block.place)
        elif block.language == "text":
            assert columns(shown) == columns(block.text), block.place
            assert re.search(r"^\([1-9]\d* rows?\)$", shown, re.MULTILINE), shown


def query(shell: Shell, role: str, statement: str) -> list[tuple[object, ...]]:
    printed = shell.run(f"firstclick env --role {role}", "the test")
    variables = dict(word.split("=", 1) for word in shlex.split(printed))
    with psycopg.connect(variables["DATABASE_URL"]) as connection:
        connection.execute("set search_path to firstclick")
        return connection.execute(statement.encode()).fetchall()


def attribution(page: str) -> str:
    [found] = [each.text for each in blocks(page) if each.language == "sql"]
    return found


def test_the_readmes_commands_run(shell: Shell, clone: Path) -> None:
    follow(blocks(README), shell, clone)


def test_the_readmes_sql_attributes_as_the_model_does(shell: Shell) -> None:
    shown = attribution(README)
    assert attribution(ATTRIBUTION) == shown
    model = (
        "select purchase_id, click_id, source, click_time from purchase_first_clicks"
    )
    [(rows, missing, others)] = query(
        shell,
        "owner",
        f"""
        with shown as ({shown}), model as ({model})
        select
            (select count(*) from shown),
            (select count(*) from (table model except all table shown) as missing),
            (select count(*) from (table shown except all table model) as others)
        """,
    )
    assert (missing, others) == (0, 0) and rows


def test_the_tutorial_leads_to_a_panel(shell: Shell, clone: Path) -> None:
    *steps, stop = blocks(TUTORIAL)
    follow(steps, shell, clone)
    [panel] = [json.loads(each.text) for each in steps if each.title == PANEL]
    [target] = panel["targets"]
    assert query(shell, "grafana", target["rawSql"].replace("${schema}", "firstclick"))
    # A second `up` prints the address of the live page again
    [address] = re.findall(r"http://\S+", shell.run("firstclick up", "the test"))
    with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
        assert panel["title"] in answer.read().decode()
    follow([stop], shell, clone)
