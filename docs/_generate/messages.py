"""The messages that the code can tell a user, found in the code itself.

A message is the text of an error that is made, of a line that is logged as a warning or
worse, of what ``firstclick status`` calls a problem, and of what the live page says;
what is filled in is an ellipsis. Where a text comes from a variable or a function of
the same module, all texts that those may have are taken.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("firstclick", "generator/firstclick_generator")

ERRORS = re.compile(r"(FirstClick|Settings|Server|Home|Deployment|Dashboard)Error")
ANSWERS = ("_no", "Failed", "TooSlow", "HTTPException", "TopicProblem")
LEVELS = ("warning", "error", "critical", "exception")
GAP = "…"


@dataclass(frozen=True)
class Message:
    """A text, and the file that has it."""

    text: str
    file: str


def messages() -> list[Message]:
    """All messages of the packages, each once."""
    found: dict[str, Message] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            for text in Module(path).texts():
                found.setdefault(text, Message(text, name))
    return list(found.values())


class Module:
    """A module's syntax, searched for messages."""

    def __init__(self, path: Path) -> None:
        self._tree = ast.parse(path.read_text())
        self._functions = {
            node.name: node
            for node in ast.walk(self._tree)
            if isinstance(node, ast.FunctionDef)
        }

    def texts(self) -> Iterator[str]:
        for node in ast.walk(self._tree):
            for told in _told(node):
                for text in self.resolved(told):
                    # Without words of its own it passes on another message
                    if re.search(r"[a-z]{2}", text):
                        yield text

    def resolved(self, node: ast.expr) -> Iterator[str]:
        """The texts that an expression may have."""
        match node:
            case ast.Constant(value=str(text)):
                yield _without_formats(text)
            case ast.JoinedStr(values=parts):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else GAP
                    for part in parts
                )
            case ast.BoolOp(values=choices):
                for choice in choices:
                    yield from self.resolved(choice)
            case ast.Name(id=name):
                for each in ast.walk(self._tree):
                    if isinstance(each, ast.Assign) and any(
                        isinstance(target, ast.Name) and target.id == name
                        for target in each.targets
                    ):
                        yield from self.resolved(each.value)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                for each in ast.walk(self._functions.get(name, ast.Pass())):
                    if isinstance(each, ast.Return) and each.value is not None:
                        yield from self.resolved(each.value)


def _told(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions in a node, not below it, that are messages."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[first, *rest]):
            if ERRORS.fullmatch(name) or name in ("Failed", "TooSlow"):
                yield first
            elif name in ANSWERS:
                yield [first, *rest][-1]
        case ast.Call(
            func=ast.Attribute(attr="append", value=ast.Attribute(attr="problems")),
            args=[problem],
        ):
            yield problem
        case ast.AugAssign(
            target=ast.Attribute(attr="problems"), value=ast.ListComp(elt=problem)
        ):
            yield problem
        case ast.Call(func=ast.Attribute(attr=level, value=log), args=[first, *_]):
            if level in LEVELS and "log" in ast.unparse(log):
                yield first
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg == "problems" and isinstance(keyword.value, ast.List):
                yield from keyword.value.elts


def _without_formats(text: str) -> str:
    return re.sub(r"%(\.\d)?[sdfr]", GAP, text)
