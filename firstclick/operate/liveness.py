"""Check that the processes of a stack do their work.

A process can run and still do nothing: it may hang, fail at the same thing again and
again, or end and be restarted forever. The files that each process writes to the home
tell these apart.
"""

import os
import time
import urllib.request
from pathlib import Path
from typing import Protocol

from firstclick.core.failure import failures
from firstclick.core.home import Child, Home, State
from firstclick.core.metrics import SUFFIX
from firstclick.servers.roles import WORKERS

SUPERVISOR = "supervisor"

STABLE_SECONDS = 60.0
"""After this time a process counts as stable, and no longer as just restarted."""

_AGAIN = 3
"""This many restarts in a row are a problem; fewer are a warning."""

_FAILING_SECONDS = 10.0
"""A shorter failure is only a warning: a server's restart takes about as long."""

_SILENT_SECONDS = 10.0
"""The oldest that a metrics file may be, which its process writes every second."""

_LOOK_SECONDS = 3.0
"""How long to wait for an old metrics file to be written again after all."""
_POLL_SECONDS = 0.1
_PAGE_SECONDS = 5.0
"""The timeout of a request to the live page."""

# The proxies that the environment names are for downloads, not for the loopback
# interface
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Findings(Protocol):
    """A result to which checks add problems and warnings."""

    problems: list[str]
    warnings: list[str]


def check_processes(home: Home, state: State, found: Findings) -> None:
    """Add problems of the processes that the supervisor keeps running."""
    if home.is_full:
        found.problems.append(
            # Cause: The disk of the home has less than 16 MB left.
            # Remedy: Make room. The pipeline continues by itself.
            f"the disk of {home.path} is full, expected room: make some"
        )
    else:
        _check_renewals(home, state, found)
    for name, child in state.children.items():
        _check_restarts(home, name, child, found)
        _check_failures(home, name, found)
    page = state.children.get("live")
    if page is not None and page.running and state.live_url is not None:
        _check_page(home, state.live_url, found)


def is_running(url: str) -> bool:
    """Return whether the live page answers at this address."""
    base = url.partition("?")[0].rstrip("/")
    try:
        with NO_PROXY.open(f"{base}/health", timeout=_PAGE_SECONDS) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _check_page(home: Home, url: str, found: Findings) -> None:
    if not is_running(url):
        found.problems.append(
            f"the live page does not answer: see {home.logs}/live.log"
        )


def _check_restarts(home: Home, name: str, child: Child, found: Findings) -> None:
    log = f"see {home.logs}/{name}.log"
    reason = f": {child.reason}" if child.reason else ""
    if not child.running:
        found.problems.append(f"{name} does not run{reason}; {log}")
        return
    seconds = time.monotonic() - child.began
    if child.in_a_row == 0 or seconds > STABLE_SECONDS:
        return
    if child.in_a_row >= _AGAIN:
        found.problems.append(
            f"{name} was started again {child.in_a_row} times in a row, the last time "
            f"{seconds:.0f} s ago{reason}; {log}"
        )
    else:
        found.warnings.append(f"{name} was started again {seconds:.0f} s ago{reason}")


def _check_failures(home: Home, name: str, found: Findings) -> None:
    for failure in failures(home.metrics, name):
        seconds = time.monotonic() - failure.since
        if seconds >= _FAILING_SECONDS:
            found.problems.append(
                # Cause: The worker tries the same thing again and again. Messages wait
                #   meanwhile.
                # Remedy: Fix the cause that the message names. The worker continues by
                #   itself.
                f"the {name} has failed for {seconds:.0f} s: {failure.subject}: "
                f"{failure.reason}; see {home.logs}/{name}.log"
            )
        else:
            found.warnings.append(
                f"the {name} fails since {seconds:.0f} s: {failure.subject}: "
                f"{failure.reason}"
            )


def _check_renewals(home: Home, state: State, found: Findings) -> None:
    """Add a problem for each process that stopped writing its metrics.

    Each process writes them once a second in a thread of its own, whatever else it
    does.
    """
    old = []
    for name in (SUPERVISOR, *(name for name in WORKERS if name in state.children)):
        child = state.children.get(name)
        if child is None or child.running:
            file = home.metrics / f"{name}{SUFFIX}"
            age = _age(file, child)
            # A time in the future counts as old too: somebody set the clock back
            if not -1 < age < _SILENT_SECONDS:
                old.append((name, file, _renewed(file), age))
    deadline = time.monotonic() + _LOOK_SECONDS
    while time.monotonic() < deadline:
        old = [each for each in old if _renewed(each[1]) == each[2]]
        if not old:
            break
        time.sleep(_POLL_SECONDS)
    found.problems += [
        # Cause: A signal stopped the process, or its disk or processor hangs.
        # Remedy: Run `kill -CONT` with its process id, look at the machine, or restart
        #   the pipeline.
        f"the {name} stands still: it left its metrics {abs(age):.0f} s ago, expected "
        f"a second; see {home.logs}/{name}.log"
        for name, _, _, age in old
    ]


def _renewed(file: Path) -> float | None:
    try:
        return os.stat(file).st_mtime
    except OSError:
        return None


def _age(file: Path, child: Child | None) -> float:
    renewed = _renewed(file)
    if renewed is not None:
        return time.time() - renewed
    return 0.0 if child is None else time.monotonic() - child.began
