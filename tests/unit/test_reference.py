"""The reference explains each message, field of the status and setting.

``scripts/docs --check`` compares its tables with the code.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from docs._generate.messages import ERRORS, PACKAGES, ROOT, Module, messages
from docs._generate.tables import explained
from docs._generate.troubles import TROUBLES
from firstclick.core.settings import Settings
from firstclick.operate.status import Partition, Process, Status, Topic

REFERENCE = ROOT / "docs" / "reference"
TEXTS = [message.text for message in messages()]


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text()


@pytest.mark.parametrize(
    "path", sorted(REFERENCE.glob("*.md")), ids=lambda path: path.stem
)
def test_a_row_of_a_table_is_one_line(path: Path) -> None:
    rows = [line for line in path.read_text().splitlines() if line.startswith("|")]
    assert [line for line in rows if not line.endswith("|")] == []


@pytest.mark.parametrize("text", TEXTS)
def test_a_message_has_a_cause_and_a_remedy(text: str) -> None:
    trouble = explained(text)
    assert trouble is not None, "add it to docs/_generate/troubles.py"
    assert trouble.cause.endswith(".") and trouble.remedy[-1] in ".`"
    assert text in page("messages")


def test_every_trouble_is_one_that_there_is() -> None:
    told = {explained(text) for text in TEXTS}
    assert [t for each in TROUBLES.values() for t in each if t not in told] == []


def test_no_error_escapes_the_search() -> None:
    """Wherever an error is made, its words are found."""
    sites = 0
    for path in (path for name in PACKAGES for path in (ROOT / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id=name)) if ERRORS.fullmatch(name):
                    found = list(Module(path).resolved(node.args[0]))
                    assert found, f"{path.name}:{node.lineno}"
                    assert set(found) <= set(TEXTS)
                    sites += 1
    assert sites > 90


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["env"], "nothing runs in …, expected a running stack: start it with "),
        (["expire", "--every", "x"], "--every is …, expected a number and s, m or h"),
    ],
)
def test_what_a_user_sees_is_found_in_the_page(
    tmp_path: object, arguments: list[str], text: str
) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", "from firstclick.cli import main; main()", *arguments],
        env={"FIRSTCLICK_HOME": f"{tmp_path}/none"},
        capture_output=True,
        text=True,
        check=False,
    ).stderr
    (found,) = (each for each in TEXTS if each.startswith(text))
    pattern = re.escape(found).replace("…", ".+")
    assert re.fullmatch(f"firstclick: {pattern}\n", shown)


def test_every_field_of_the_status_is_explained() -> None:
    names = [field.name for field in msgspec.structs.fields(Status)]
    names += [field.name for field in msgspec.structs.fields(Process)]
    names += [*Partition.__annotations__, *Topic.__annotations__]
    for name in names:
        assert re.search(rf"^\| `{name}` \|.+\| \S.+\. \|$", page("status"), re.M)


def test_every_setting_is_explained() -> None:
    for field in Settings.model_fields.values():
        name = field.validation_alias
        assert re.search(rf"^\| `{name}` \|.+\| [A-Z].+ \|$", page("settings"), re.M)
