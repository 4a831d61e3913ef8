"""Hooks of MkDocs, for what the site needs beyond the pages in docs/.

A page's links are those that work on GitHub. Links to folders and files of the
repository become plain text in the site, which does not have them, and a link that
leads nowhere fails the build.
"""

import os.path
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
ROOT_PAGES = ("SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")
"""Pages that GitHub expects at the root of a repository."""

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\]\([^)]*\))*)\]\(([^)\s]+)\)")
_LOADED = re.compile(
    r'(?:<link(?! rel="(?:canonical|prev|next)")[^>]+href|<(?:script|img)[^>]+src)='
    r'"https?://[^"]+'
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages at the root."""
    for name in ROOT_PAGES:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Make the page's links those of the site."""
    uri = page.file.src_uri
    folder = ROOT if uri in ROOT_PAGES else (ROOT / "docs" / uri).parent

    def link(match: re.Match[str]) -> str:
        image, text, target = match.groups()
        # An image may be in a link
        text = _LINK.sub(link, text)
        path, hash_sign, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return f"{image}[{text}]({target})"
        found = Path(os.path.normpath(folder / path))
        if not found.exists():
            raise PluginError(f"{uri} links to {target}, which does not exist")
        if found.parent == ROOT and found.name in ROOT_PAGES:
            there = found.name
        elif found.is_relative_to(ROOT / "docs") and found.is_file():
            there = found.relative_to(ROOT / "docs").as_posix()
        else:
            return text
        there = os.path.relpath(there, os.path.dirname(uri) or ".")
        return f"{image}[{text}]({there}{hash_sign}{anchor})"

    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    parts[::2] = (_LINK.sub(link, part) for part in parts[::2])
    return "".join(parts)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Fail if a browser would ask another host for a part of the page."""
    if found := _LOADED.search(output):
        raise PluginError(f"{page.file.src_uri} loads {found[0]}: keep it in docs/")
    return output
