"""docs/operations.md, made of the code."""

import ast
import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined
from prometheus_client import Metric

from firstclick import status
from firstclick.home import Child
from firstclick.live.metrics import known
from firstclick.logs import BURST, KEPT, LARGEST, QUIET_SECONDS
from firstclick.metrics import (
    ConnectorMetrics,
    ExpireMetrics,
    ProcessMetrics,
    PublisherMetrics,
)
from firstclick.roles import LIMITS, OWNER
from manual.messages import ROOT, Message, messages
from manual.troubles import TROUBLES, Trouble

PAGE = ROOT / "docs" / "operations.md"
TEMPLATE = ROOT / "manual" / "operations.md"
RULES = ROOT / "grafana" / "provisioning" / "alerting" / "firstclick.yaml"


def render() -> str:
    """Return the page's text. Raises LookupError where something is unexplained."""
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(TEMPLATE.read_text()).render(
        alerts=_table(["alert", "severity", "it says"], _alerts()),
        status="\n\n".join(_fields()),
        metrics=_table(["metric", "", "labels", ""], _metrics()),
        sessions=_table(
            ["role", "sessions", "a statement", "a transaction", "at rest in one"],
            _sessions(),
        ),
        megabytes=LARGEST // 1_000_000,
        kept=KEPT,
        burst=BURST,
        quiet=round(QUIET_SECONDS),
        messages="\n\n".join(_messages()),
    )


def explained(text: str) -> Trouble | None:
    """The trouble that a message tells, by the longest words that it has."""
    found = [
        trouble
        for troubles in TROUBLES.values()
        for trouble in troubles
        if trouble.words in text
    ]
    return max(found, key=lambda trouble: len(trouble.words), default=None)


def _alerts() -> Iterator[list[str]]:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]:
        said = rule["annotations"]
        link = said["runbook"].removeprefix("docs/")
        yield [
            f"[{rule['title']}]({link})",
            rule["labels"]["severity"],
            " ".join(said["description"].split()),
        ]


def _fields() -> Iterator[str]:
    """A table for each part of the status, from the texts below the fields."""
    tree = ast.parse(inspect.getsource(status))
    parts = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for name, title in {
        "Status": "",
        "Process": "`processes`",
        "Partition": "`partitions`; offsets are of the next message",
        "Topic": "`topics`",
    }.items():
        rows = []
        body = parts[name].body
        for field, following in zip(body, [*body[1:], ast.Pass()], strict=True):
            if isinstance(field, ast.AnnAssign):
                meaning = ""
                if isinstance(following, ast.Expr):
                    meaning = ast.literal_eval(following.value)
                rows.append(
                    [f"`{ast.unparse(field.target)}`", _kind(field.annotation), meaning]
                )
        heading = f"Of each of {title}:\n\n" if title else ""
        yield heading + _table(["field", "", ""], rows)


def _kind(annotation: ast.expr) -> str:
    kinds = {
        "bool": "true or false",
        "int": "number",
        "float": "number",
        "str": "text",
        "datetime": "time",
        "None": "null",
    }
    text = ast.unparse(annotation)
    if text.startswith("list["):
        return "texts" if text == "list[str]" else "objects"
    return " or ".join(kinds[part] for part in text.split(" | "))


def _metrics() -> Iterator[list[str]]:
    workers = (ConnectorMetrics, PublisherMetrics, ExpireMetrics)
    registries = [worker().registry for worker in workers]
    registries.append(ProcessMetrics(_no_children).registry)
    of_workers = [metric for registry in registries for metric in _of(registry)]
    for metric, labels in [*_of_page(), *of_workers]:
        suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
        kind = "gauge" if metric.type == "info" else metric.type
        yield [
            f"`{metric.name}{suffix}`",
            kind,
            ", ".join(f"`{label}`" for label in labels),
            metric.documentation,
        ]


def _no_children() -> dict[str, Child]:
    return {}


def _of_page() -> Iterator[tuple[Metric, Sequence[str]]]:
    for metric in known():
        yield metric, _labels(metric)


def _of(registry: Any) -> Iterator[tuple[Metric, Sequence[str]]]:
    for collector in list(registry._collector_to_names):
        for metric in collector.collect():
            yield metric, getattr(collector, "_labelnames", None) or _labels(metric)


def _labels(metric: Metric) -> Sequence[str]:
    given: Sequence[str] = getattr(metric, "_labelnames", ())
    found = given or (metric.samples[0].labels if metric.samples else ())
    # A histogram's own, which every one has
    return [label for label in found if label != "le"]


def _sessions() -> Iterator[list[str]]:
    for role, limits in {"the owner, by `firstclick psql`": OWNER, **LIMITS}.items():
        yield [
            role if role not in LIMITS else f"`{role}`",
            str(limits.connections),
            *(
                limits.settings.get(f"{name}_timeout", "")
                for name in (
                    "statement",
                    "transaction",
                    "idle_in_transaction_session",
                )
            ),
        ]


def _messages() -> Iterator[str]:
    found: dict[Trouble, list[Message]] = {}
    for message in messages():
        trouble = explained(message.text)
        if trouble is None:
            raise LookupError(
                f"manual/troubles.py explains nothing of {message.text!r} in "
                f"{message.file}: add why it comes and what to do"
            )
        found.setdefault(trouble, []).append(message)
    for section, troubles in TROUBLES.items():
        rows = []
        for trouble in troubles:
            if trouble not in found:
                raise LookupError(f"no message has {trouble.words!r} any more")
            texts = "<br>".join(_code(message.text) for message in found[trouble])
            rows.append([texts, trouble.cause, trouble.remedy])
        yield f"### {section}\n\n" + _table(["message", "why", "what to do"], rows)


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, in which a cell is one line whatever lines its text has."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        f"| {' | '.join(' '.join(cell.split()) for cell in line)} |" for line in lines
    )
