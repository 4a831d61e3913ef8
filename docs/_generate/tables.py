"""The reference tables, read from the code: each function returns Markdown."""

import ast
import inspect
import itertools
import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import typer.main
import yaml
from prometheus_client import Metric
from typer.cli import get_docs_for_click

from docs._generate.messages import ROOT, messages
from firstclick.cli.commands import app
from firstclick.core.home import Child
from firstclick.core.logging import BURST, KEPT, LARGEST, QUIET_SECONDS
from firstclick.core.metrics import (
    ConnectorMetrics,
    ExpireMetrics,
    ProcessMetrics,
    PublisherMetrics,
)
from firstclick.core.settings import Settings
from firstclick.dashboard.server.metrics import known
from firstclick.operate import status as health
from firstclick.servers.roles import LIMITS, OWNER

_RULES = ROOT / "grafana" / "provisioning" / "alerting" / "firstclick.yaml"
_FOLDERS = ("insights", "attribution", "health", "staging", "sources")
"""Folders of models, the most queried ones first. All others follow."""

_PARTS = {
    "firstclick/core": "Home and settings",
    "firstclick/servers": "Kafka and PostgreSQL",
    "firstclick/operate": "Starting, status, backup",
    "firstclick/workers": "Connector and publisher",
    "firstclick/dashboard": "Live page",
    "firstclick/deploy": "Deploying models",
    "firstclick/verify": "Verifying",
    "generator": "Simulated shop",
}
"""The packages that have messages, with a title for each."""


def block(text: str) -> None:
    """Print Markdown for cog. Next to a comment, it needs an empty line."""
    print(f"\n{text}\n")


def command_line() -> str:
    """Return each command with its arguments and options, below a heading each."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="firstclick")
    text = get_docs_for_click(obj=command, ctx=context, name="firstclick")
    return text.partition("\n")[2].strip()


def settings() -> str:
    """Return a row for each environment variable: default, meaning and values."""
    meanings = _docstrings(Settings)
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory else field.default
        rows.append(
            [
                f"`{field.validation_alias}`",
                "" if default in (None, "") else f"`{_shown(default)}`",
                f"{meanings[name]} *Value: {field.description}.*",
            ]
        )
    return _table(["variable", "default", "meaning"], rows)


def _shown(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def relations() -> str:
    """Return a table of columns for each relation, by folder of the models."""
    parts = []
    found = sorted(path.name for path in (ROOT / "models").iterdir())
    for folder in dict.fromkeys([*_FOLDERS, *found]):
        parts += [f"## {folder.capitalize()}", *_relations(f"models/{folder}")]
    parts += ["## Reference data", *_relations("seeds", "seeds")]
    return "\n\n".join(parts)


def _relations(folder: str, kind: str = "models") -> Iterator[str]:
    for path in sorted((ROOT / folder).glob("*.yml")):
        for relation in yaml.safe_load(path.read_text()).get(kind, []):
            yield f"### {relation['name']}"
            yield _one_line(relation["description"])
            columns = [
                [f"`{column['name']}`", column.get("description", "")]
                for column in relation.get("columns", [])
            ]
            if columns:
                yield _table(["column", "meaning"], columns)


def alerts() -> str:
    """Return a row for each alert rule, linked to its section of the runbook."""
    [group] = yaml.safe_load(_RULES.read_text())["groups"]
    rows = []
    for rule in group["rules"]:
        said = rule["annotations"]
        link = said["runbook"].replace("docs/", "../", 1)
        title = f"[{rule['title']}]({link})"
        rows.append([title, rule["labels"]["severity"], said["description"]])
    return _table(["alert", "severity", "meaning"], rows)


def status() -> str:
    """Return a table for each part of what ``firstclick status --json`` prints."""
    parts = {
        health.Status: "",
        health.Process: "Each of `processes`:",
        health.Partition: "Each of `partitions`; an offset is the next message's:",
        health.Topic: "Each of `topics`:",
    }
    tables = []
    for part, title in parts.items():
        meanings = _docstrings(part)
        rows = [
            [f"`{name}`", _kind(kind), meanings.get(name, "")]
            for name, kind in _annotations(part)
        ]
        if title:
            tables.append(title)
        tables.append(_table(["field", "type", "meaning"], rows))
    return "\n\n".join(tables)


def _kind(annotation: str) -> str:
    kinds = {
        "bool": "true or false",
        "int": "number",
        "float": "number",
        "str": "text",
        "datetime": "time",
        "None": "null",
    }
    if annotation.startswith("list["):
        return "texts" if annotation == "list[str]" else "objects"
    return " or ".join(kinds[part] for part in annotation.split(" | "))


def metrics() -> str:
    """Return a row for each metric that ``/metrics`` has."""
    workers = (ConnectorMetrics, PublisherMetrics, ExpireMetrics)
    registries = [worker().registry for worker in workers]
    registries.append(ProcessMetrics(_no_children).registry)
    of_workers = [metric for registry in registries for metric in _of(registry)]
    of_page = [(metric, _labels(metric)) for metric in known()]
    rows = []
    for metric, labels in [*of_page, *of_workers]:
        suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
        rows.append(
            [
                f"`{metric.name}{suffix}`",
                "gauge" if metric.type == "info" else metric.type,
                ", ".join(f"`{label}`" for label in labels),
                metric.documentation,
            ]
        )
    return _table(["metric", "type", "labels", "meaning"], rows)


def _no_children() -> dict[str, Child]:
    return {}


def _of(registry: Any) -> Iterator[tuple[Metric, Sequence[str]]]:
    for collector in list(registry._collector_to_names):
        for metric in collector.collect():
            yield metric, getattr(collector, "_labelnames", None) or _labels(metric)


def _labels(metric: Metric) -> Sequence[str]:
    given: Sequence[str] = getattr(metric, "_labelnames", ())
    found = given or (metric.samples[0].labels if metric.samples else ())
    # Every histogram has `le`
    return [label for label in found if label != "le"]


def session_limits() -> str:
    """Return a row for each role: how many sessions it may have, and for how long."""
    rows = []
    for role, limits in {"the owner, in `firstclick psql`": OWNER, **LIMITS}.items():
        timeouts = ("statement", "transaction", "idle_in_transaction_session")
        rows.append(
            [
                role if role not in LIMITS else f"`{role}`",
                str(limits.connections),
                *(limits.settings.get(f"{name}_timeout", "") for name in timeouts),
            ]
        )
    heads = ["role", "sessions", "statement", "transaction", "idle in transaction"]
    return _table(heads, rows)


def log_limits() -> str:
    """Return a paragraph on how much a process may log."""
    return "\n".join(
        textwrap.wrap(
            "The files are in `logs/` in `FIRSTCLICK_HOME`. Each process has a file of "
            f"at most {LARGEST // 1_000_000} MB and {KEPT} older ones of that size; "
            "dbt keeps five. A repeated line can't fill your disk: of lines that are "
            f"alike, a process logs the first {BURST} within {QUIET_SECONDS:.0f} "
            "seconds, then only the last one of every "
            f"{QUIET_SECONDS:.0f} seconds, with their number, for example `… (the "
            "last of 2,041 like it)`. The number is in the field `repeated`, too. "
            "Lines are alike if they differ only in times, ports and process ids.",
            width=88,
            break_on_hyphens=False,
        )
    )


def figures(name: str) -> str:
    """Return a table of each measurement in a file of figures in ``docs``."""
    measured = json.loads((ROOT / "docs" / name).read_text())
    parts = []
    for section, found in measured.items():
        rows = [
            [
                finding["what"],
                _figure(finding["value"]) + f" {finding['unit']}".rstrip(),
                finding["target"] or "",
            ]
            for finding in found["findings"]
        ]
        machine = found["machine"]
        if len(measured) > 1:
            parts.append(f"### {section.capitalize()}")
        parts.append(
            f"Measured on {machine['measured_at'][:10]}, {machine['cores']} cores, "
            f"Python {machine['python']}."
        )
        parts.append(_table(["", "measured", "aimed at"], rows))
    return "\n\n".join(parts)


def _figure(value: float) -> str:
    return (
        f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    )


def faults() -> str:
    """Return a row for each fault of the last run of ``scripts/faults``."""
    run = json.loads((ROOT / "docs" / "faults.json").read_text())
    rows = [
        [
            fault["fault"],
            str(fault["times"]),
            f"{max(fault['seconds_to_catch_up']):.1f} s",
            str(fault["lost"]),
            str(fault["doubled"]),
        ]
        for fault in run["faults"]
    ]
    heads = ["fault", "times", "longest until caught up", "lost", "doubled"]
    return _table(heads, rows)


def troubles() -> str:
    """Return a table of messages with causes and remedies for each part of the code."""
    found = messages()
    parts = []
    for folder, title in _PARTS.items():
        rows = [
            [_code(message.text), message.cause, message.remedy]
            for message in found
            if message.file.startswith(f"{folder}/")
        ]
        parts += [f"## {title}", _table(["message", "cause", "remedy"], rows)]
    return "\n\n".join(parts)


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _body(kind: type) -> list[ast.stmt]:
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    return definition.body


def _annotations(kind: type) -> Iterator[tuple[str, str]]:
    for statement in _body(kind):
        if isinstance(statement, ast.AnnAssign):
            yield ast.unparse(statement.target), ast.unparse(statement.annotation)


def _docstrings(kind: type) -> dict[str, str]:
    """The text below each field of a class. Python itself does not keep it."""
    body = _body(kind)
    found = {}
    for field, following in itertools.pairwise(body):
        match field, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = text
    return found


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, in which a cell is one line whatever lines its text has."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(_one_line, line))} |" for line in lines)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace(" | ", " \\| ")
