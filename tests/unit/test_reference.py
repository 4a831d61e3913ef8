"""docs/operations.md leaves out no message, no metric, no field and no alert."""

import ast
import re
import subprocess
import sys

import msgspec
import pytest

from firstclick.status import Partition, Process, Status, Topic
from manual.messages import ERRORS, PACKAGES, ROOT, Module, messages
from manual.page import PAGE, explained, render
from manual.troubles import TROUBLES

TEXTS = [message.text for message in messages()]


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text() == render(), "write it anew: python -m manual"


def test_a_row_of_a_table_is_one_line() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    assert len(rows) > 100
    assert [line for line in rows if not line.endswith("|")] == []


@pytest.mark.parametrize("text", TEXTS)
def test_a_message_has_a_cause_and_a_remedy(text: str) -> None:
    trouble = explained(text)
    assert trouble is not None, "add it to manual/troubles.py"
    assert trouble.cause.endswith(".") and trouble.remedy[-1] in ".`"
    assert text in PAGE.read_text()


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


def test_every_field_of_the_status_is_in_the_page() -> None:
    page = PAGE.read_text()
    names = [field.name for field in msgspec.structs.fields(Status)]
    names += [field.name for field in msgspec.structs.fields(Process)]
    names += [*Partition.__annotations__, *Topic.__annotations__]
    for name in names:
        assert f"| `{name}` |" in page


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAGE.read_text()):
        file, _, anchor = target.partition("#")
        path = (PAGE.parent / file).resolve() if file else PAGE
        assert path.exists(), target
        headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
        known = [re.sub(r"[^\w -]", "", each).lower() for each in headings]
        assert not anchor or anchor in [each.replace(" ", "-") for each in known]
