"""Render the page without values: all that a browser needs for its first paint."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from firstclick.dashboard.definition import Dashboard, duration
from firstclick.dashboard.definition.model import Custom
from firstclick.dashboard.server.assets import TEMPLATES

_MARKDOWN = MarkdownIt("commonmark", {"html": False})

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(
    dashboard: Dashboard,
    dashboards: Mapping[str, Dashboard],
    span: Custom | None,
    chosen: str,
    echarts: str,
) -> str:
    """Return a dashboard's HTML; ``chosen`` is the value of ``span``."""
    panels: list[dict[str, Any]] = msgspec.to_builtins(dashboard.panels)
    panels.sort(key=lambda panel: (panel["gridPos"]["y"], panel["gridPos"]["x"]))
    return _ENVIRONMENT.get_template("page.html").render(
        dashboard=dashboard,
        names={uid: _name(other) for uid, other in dashboards.items()},
        panels=[
            {
                "id": panel["id"],
                "kind": panel["type"],
                "title": panel["title"],
                "about": Markup(_MARKDOWN.render(panel["description"])),
            }
            for panel in panels
        ],
        span=span,
        chosen=chosen,
        short=_short,
        seconds=_seconds,
        length=_short(dashboard.time.from_.removeprefix("now-")),
        echarts=echarts,
        definition=_definition(dashboard, panels),
    )


def grid(dashboard: Dashboard) -> str:
    """Return the stylesheet that places the panels on a wide page.

    It is a file of its own because the content security policy forbids inline styles.
    """
    rules = "\n".join(
        f"  #panel-{panel.id} {{ grid-area: {at.y + 1} / {at.x + 1}"
        f" / span {at.h} / span {at.w}; }}"
        for panel in dashboard.panels
        for at in (panel.grid_pos,)
    )
    return f"@media (width >= 62rem) {{\n{rules}\n}}\n"


def _name(dashboard: Dashboard) -> str:
    words = dashboard.title.rpartition(": ")[2]
    return words[:1].upper() + words[1:]


def _short(span: str) -> str:
    return f"{_seconds(span) / 3600:g} h"


def _definition(dashboard: Dashboard, panels: list[dict[str, Any]]) -> Markup:
    drawn = [
        {
            "id": panel["id"],
            "type": panel["type"],
            "title": panel["title"],
            "fieldConfig": panel["fieldConfig"],
            "options": panel["options"],
        }
        for panel in panels
    ]
    text = json.dumps(
        {
            "uid": dashboard.uid,
            "seconds": _seconds(dashboard.time.from_.removeprefix("now-")),
            "panels": drawn,
        }
    )
    # The browser ends a script block at the first </script, even inside a string
    return Markup(text.replace("<", "\\u003c"))


def _seconds(span: str) -> float:
    return duration(span).total_seconds()
