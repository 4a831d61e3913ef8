"""Messages that need more words than they have, found in the code.

Most messages say themselves what to do. Above one that doesn't is a comment, from which
the reference takes its table:

    # Cause: Another user made the directory.
    # Remedy: Choose a home of your own.
    raise HomeError(f"{path} belongs to user {user}")

The message is the first string after the comment.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("firstclick", "generator")
GAP = "…"

_PART = r" *# {}: (?P<{}>.+\n(?: *#   .+\n)*)"
_COMMENT = re.compile(_PART.format("Cause", "cause") + _PART.format("Remedy", "remedy"))


@dataclass(frozen=True)
class Message:
    """A message, why it comes and what to do about it."""

    text: str
    cause: str
    remedy: str
    file: str


def messages() -> list[Message]:
    """Return all messages that have a comment, in the order of files and lines."""
    return [
        message
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for message in _of(path)
    ]


def _of(path: Path) -> Iterator[Message]:
    source = path.read_text()
    comments = list(_COMMENT.finditer(source))
    if not comments:
        return
    texts = sorted(_texts(ast.parse(source)))
    for comment in comments:
        line = source[: comment.end()].count("\n") + 1
        text = next(text for at, _, text in texts if at >= line)
        cause, remedy = (
            " ".join(re.sub(r"^ *# ", "", comment[part], flags=re.MULTILINE).split())
            for part in ("cause", "remedy")
        )
        yield Message(text, cause, remedy, str(path.relative_to(ROOT)))


def _texts(tree: ast.AST) -> Iterator[tuple[int, int, str]]:
    """The strings that may be messages, by line and column."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Constant(value=str(text)):
                text = re.sub(r"%(\.\d)?[sdfgr]", GAP, text)
                yield node.lineno, node.col_offset, text
            case ast.JoinedStr(values=parts):
                text = "".join(
                    str(part.value) if isinstance(part, ast.Constant) else GAP
                    for part in parts
                )
                yield node.lineno, node.col_offset, text
            case _:
                yield from _texts(node)
