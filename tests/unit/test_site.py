"""The documentation's links, in the site and on pages outside it."""

import re
from typing import Any

import pytest
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import Files

from docs._generate.hooks import on_page_markdown, on_post_page
from docs._generate.messages import ROOT


class Page:
    """A page with the attributes that the hooks read."""

    def __init__(self, uri: str) -> None:
        self.file = self
        self.src_uri = uri


def in_site(uri: str, markdown: str) -> str:
    page: Any = Page(uri)
    config: Any = None
    return on_page_markdown(markdown, page, config, Files([]))


@pytest.mark.parametrize(
    ("uri", "markdown", "expected"),
    [
        ("how-to/secure.md", "[it](upgrade.md#x)", "[it](upgrade.md#x)"),
        ("how-to/secure.md", "[it](../../SECURITY.md)", "[it](../SECURITY.md)"),
        ("SECURITY.md", "[it](docs/how-to/secure.md)", "[it](how-to/secure.md)"),
        ("how-to/secure.md", "[the models](../../models)", "the models"),
        ("index.md", "[there](https://example.com)", "[there](https://example.com)"),
        ("index.md", "[below](#where-to-go)", "[below](#where-to-go)"),
        ("index.md", "```sh\n[it](nowhere.md)\n```", "```sh\n[it](nowhere.md)\n```"),
    ],
)
def test_a_link_is_that_of_the_site(uri: str, markdown: str, expected: str) -> None:
    assert in_site(uri, markdown) == expected


def test_a_link_that_leads_nowhere_fails_the_build() -> None:
    with pytest.raises(PluginError, match=r"index\.md links to nowhere\.md"):
        in_site("index.md", "[it](nowhere.md)")


@pytest.mark.parametrize(
    ("html", "is_loaded"),
    [
        ('<link rel="canonical" href="http://127.0.0.1:8000/">', False),
        ('<link rel="stylesheet" href="assets/a.css">', False),
        ('<a href="https://example.com">', False),
        ('<link rel="stylesheet" href="https://example.com/a.css">', True),
        ('<script async src="https://example.com/a.js">', True),
        ('<img alt="" src="https://example.com/a.png">', True),
    ],
)
def test_a_page_that_loads_from_another_host_fails_the_build(
    html: str, is_loaded: bool
) -> None:
    page: Any = Page("index.md")
    config: Any = None
    if is_loaded:
        with pytest.raises(PluginError, match="keep it in docs/"):
            on_post_page(html, page, config)
    else:
        assert on_post_page(html, page, config) == html


def anchors(markdown: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", ["README.md", "grafana/README.md"])
def test_a_link_of_a_page_outside_the_site_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = re.findall(r"\]\((?!https?:)([^)\s]+)\)", text)
    assert targets
    for target in targets:
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text()), target
