"""The reference explains the messages, and each field of the status and each setting.

``scripts/docs --check`` compares its tables with the code.
"""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from docs._generate.messages import GAP, PACKAGES, ROOT, messages
from firstclick.core.settings import Settings
from firstclick.operate.status import Partition, Process, Status, Topic

REFERENCE = ROOT / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text()


@pytest.mark.parametrize(
    "path", sorted(REFERENCE.glob("*.md")), ids=lambda path: path.stem
)
def test_a_row_of_a_table_is_one_line(path: Path) -> None:
    rows = [line for line in path.read_text().splitlines() if line.startswith("|")]
    assert [line for line in rows if not line.endswith("|")] == []


def test_a_message_has_a_cause_and_a_remedy() -> None:
    found = messages()
    assert len(found) > 50
    for message in found:
        assert message.cause.endswith(".") and message.remedy.endswith(".")
        # The text has at least two words, rather than only placeholders
        assert re.search(r"\w \w", message.text), message
        assert message.text in page("messages")


def test_no_cause_is_left_out() -> None:
    """The reference finds each ``# Cause:`` comment, so all have the right form."""
    sources = [path for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    causes = sum(path.read_text().count("# Cause: ") for path in sources)
    assert causes == len(messages())


def test_an_error_is_shown_as_the_reference_has_it(tmp_path: Path) -> None:
    (tmp_path / "home").symlink_to(tmp_path)
    shown = subprocess.run(
        [Path(sys.executable).with_name("firstclick"), "status"],
        env={"FIRSTCLICK_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    ).stderr
    [message] = [m for m in messages() if "symbolic link, expected a dir" in m.text]
    pattern = re.escape(message.text).replace(GAP, ".+")
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
