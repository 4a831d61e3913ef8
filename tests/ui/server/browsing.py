"""The live page as a process, and a browser that looks at it."""

import http.client
import json
import os
import re
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page

from firstclick.core.pipeline import Pipeline
from worker_world import eventually

_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error("policy", event.violatedDirective, event.blockedURI, event.sample));
"""

_SHOWN = """() => Object.fromEntries([...document.querySelectorAll(".panel")].map(
    (panel) => {
        const cells = [...panel.querySelectorAll("tbody tr")].map(
            (row) => [...row.cells].map((cell) => cell.textContent));
        const texts = [".value", ".change:not([hidden])", ".empty:not([hidden])",
            ".error:not([hidden])"].map((at) => panel.querySelector(at)?.textContent);
        return [Number(panel.id.slice(6)), [...texts, cells]];
    }))"""


def _limit(files: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))


class Site:
    """`python -m firstclick.dashboard.server` on a free port, until the block ends."""

    def __init__(
        self, stack: Pipeline, log: Path, files: int | None = None, **environment: str
    ) -> None:
        """Start the process, which may have ``files`` files open at once."""
        self._log = log
        self._output = log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "firstclick.dashboard.server"],
            env={
                **os.environ,
                "DATABASE_URL": stack.reader_url,
                "FIRSTCLICK_SCHEMA": stack.schema_name,
                **environment,
            },
            stderr=self._output,
            preexec_fn=None if files is None else partial(_limit, files),
        )

    def __enter__(self) -> "Site":
        found = eventually(self._said_address, "the page says where it is served")
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        self._output.close()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def _said_address(self) -> re.Match[str] | None:
        assert self.process.poll() is None, self.log
        return re.search(r"serving on http://[^ ]*:(\d+)", self.log)

    def end(self) -> int:
        """Ask the process to end (SIGTERM); return its exit status."""
        self.process.terminate()
        return self.process.wait(20)

    def ask(
        self, path: str, host: str | None = None, **headers: str
    ) -> tuple[int, str, http.client.HTTPMessage]:
        """GET a path; return the status, text and headers of the answer.

        Underscores in the names of headers stand for dashes.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if host is not None:
            named["Host"] = host
        connection.request("GET", path, headers=named)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text, response.headers

    @property
    def counts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask("/health")[1])
        return found


class Visit:
    """A visitor who looks at a page in a browser context of their own."""

    def __init__(
        self, browser: Browser, address: str, faults: bool = False, **context: Any
    ) -> None:
        """Open the page.

        With ``faults``, a failed request isn't a complaint. Other arguments go to the
        browser's context.
        """
        self.complaints: list[str] = []
        context = {
            "viewport": {"width": 1440, "height": 900},
            "timezone_id": "UTC",
            "locale": "en-US",
            **context,
        }
        self._context = browser.new_context(**context)
        self.page: Page = self._context.new_page()
        self.page.add_init_script(_VIOLATIONS)
        self.page.on("console", lambda message: self._note(message, faults))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address)

    def close(self) -> None:
        self._context.close()

    def _note(self, message: ConsoleMessage, faults: bool) -> None:
        failed = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not (faults and failed):
            self.complaints.append(message.text)

    def filled(self) -> "Visit":
        """Wait until every panel has its first values."""
        eventually(
            lambda: self.page.locator("[aria-busy=true]").count() == 0,
            "all panels have values",
        )
        return self

    @property
    def state(self) -> str:
        return self.page.locator("#state").inner_text()

    @property
    def notice(self) -> str:
        return self.page.locator("#notice").text_content() or ""

    def becomes(self, state: str) -> None:
        eventually(lambda: self.state == state, f"the page says {state}")

    @property
    def shown(self) -> dict[int, list[Any]]:
        """By panel: its value, change, empty state, error, and the table's rows."""
        found = self.page.evaluate(_SHOWN)
        return {int(panel): texts for panel, texts in found.items()}
