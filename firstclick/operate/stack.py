"""Start, stop and find the stack from another process.

Use ``up`` as a context manager to have a stack for a while. To connect to one that
runs, see ``firstclick.core.pipeline.running``.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from firstclick.core import exec_wrapper
from firstclick.core.environment import DOWNLOADING, MODELS, child_environment
from firstclick.core.errors import (
    FirstClickError,
    HomeError,
    ServerError,
    SettingsError,
)
from firstclick.core.home import Home, State, Step
from firstclick.core.pipeline import (
    SUPERVISOR_MODULE,
    Pipeline,
    find,
    find_supervisor,
    ready,
)
from firstclick.core.processes import end
from firstclick.core.settings import Settings
from firstclick.operate.supervisor import LOCKED, end_children

_POLL = 0.05
"""Seconds between two looks at the home's state."""
_STOP_SECONDS = 90
"""How long the supervisor may take to stop everything; then it is killed."""

OnStep = Callable[[Step], None]


@dataclass(frozen=True)
class Started:
    """The stack that ``start`` found or started."""

    pipeline: Pipeline
    supervisor: "subprocess.Popen[bytes] | None"
    """None if the stack was already up, or if another process started it."""


def start(
    settings: Settings,
    *,
    detach: bool,
    servers_only: bool = False,
    on_step: OnStep = lambda step: None,
) -> Started:
    """Start the stack, or find it running, and wait until it is ready.

    With ``detach`` the stack outlives this process. Otherwise it stops when the calling
    thread ends, even if the process is killed. If two processes start the stack at
    once, one of them does and both wait for it. ``on_step`` gets each step when it is
    done. If the start fails, stops everything again and raises FirstClickError.
    """
    if settings.target != "embedded":
        raise SettingsError(
            f"FIRSTCLICK_TARGET is {settings.target!r}, expected 'embedded': another "
            "engine is started by its own means"
        )
    home = Home.open(settings.home)
    settings = _without_own(home, settings)
    state = find(home.path)
    supervisor = None
    if state is not None and state.phase == "stopping":
        _wait_for_end(home, state)
        state = None
    if state is None:
        supervisor = _spawn(home, settings, detach, servers_only)
    try:
        state = _follow(home, supervisor, on_step)
    except BaseException:
        if supervisor is not None:
            _end(supervisor)
        raise
    if state.servers_only and not servers_only:
        raise HomeError(
            f"the stack in {home.path} runs with --servers-only, expected all of it: "
            "run `firstclick down` first"
        )
    ours = supervisor is not None and supervisor.pid == state.supervisor.pid
    return Started(ready(home.path, state), supervisor if ours else None)


@contextlib.contextmanager
def up(
    settings: Settings,
    on_step: OnStep = lambda step: None,
    *,
    servers_only: bool = False,
) -> Iterator[Started]:
    """Run the stack for as long as the block runs.

    A stack that was already up is used, and stays up afterwards.
    """
    started = start(settings, detach=False, servers_only=servers_only, on_step=on_step)
    try:
        yield started
    finally:
        if started.supervisor is not None:
            _end(started.supervisor)


def down(path: Path) -> bool:
    """Stop the stack of a home; return False if nothing ran.

    Also ends processes that a killed supervisor left behind. A process that doesn't
    stop in time is killed. Raises HomeError.
    """
    if not path.is_dir():
        return False
    home = Home.open(path)
    state = home.state
    if state is None:
        return False
    supervisor = find_supervisor(home, state)
    stopped = supervisor is not None
    if supervisor is not None:
        end(supervisor, signal.SIGTERM, _STOP_SECONDS)
    with home.locked(timeout=5):
        stopped |= any(child.process.find() for child in state.children.values())
        end_children(state)
    return stopped


def _without_own(home: Home, settings: Settings) -> Settings:
    # After eval "$(firstclick env)" these variables name our bundled servers, which
    # must not be taken for servers of the user's
    last = home.state
    update: dict[str, None] = {}
    if last is not None:
        if "postgres" in last.children and settings.database_url == last.database_url:
            update["database_url"] = None
        if (
            "kafka" in last.children
            and settings.kafka_bootstrap_servers == last.bootstrap_servers
        ):
            update["kafka_bootstrap_servers"] = None
    return settings.model_copy(update=update)


def _spawn(
    home: Home, settings: Settings, detach: bool, servers_only: bool
) -> "subprocess.Popen[bytes]":
    log = home.logs / "supervisor.log"
    command = [sys.executable, "-m", SUPERVISOR_MODULE]
    if servers_only:
        command.append("--servers-only")
    if not detach:
        command = [
            *(sys.executable, "-I", "-S", exec_wrapper.__file__),
            *(str(os.getpid()), str(int(signal.SIGTERM)), "", ""),
            *command,
        ]
    with home.errors(), open(log, "ab", opener=_private) as output:
        return subprocess.Popen(
            command,
            cwd=home.path,
            env=_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _follow(
    home: Home, supervisor: "subprocess.Popen[bytes] | None", on_step: OnStep
) -> State:
    done = 0
    while True:
        code = supervisor.poll() if supervisor is not None else None
        state = home.state
        if supervisor is not None and code == LOCKED:
            # Another supervisor was faster, or one is just about to stop
            supervisor = None
            state = _wait_for_other(home)
        ours = supervisor is None or (
            state is not None and state.supervisor.pid == supervisor.pid
        )
        if state is not None and ours:
            for step in state.steps[done:]:
                on_step(step)
            done = max(done, len(state.steps))
            if state.phase == "ready":
                return state
            if state.phase == "failed" or (state.phase == "stopping" and state.error):
                if supervisor is not None:
                    supervisor.wait()
                raise FirstClickError(state.error or "the stack failed to start")
            if supervisor is None and find_supervisor(home, state) is None:
                raise ServerError(
                    f"the stack in {home.path} stopped while it was waited for: "
                    "start it again"
                )
        if code == 0:
            raise ServerError(
                f"the stack in {home.path} was stopped while it started: start it again"
            )
        if code is not None and code != LOCKED:
            raise ServerError(
                f"the supervisor ended with status {code}: see "
                f"{home.logs / 'supervisor.log'}"
            )
        time.sleep(_POLL)


def _wait_for_end(home: Home, state: State) -> None:
    process = find_supervisor(home, state)
    if process is not None:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            process.wait(_STOP_SECONDS)


def _wait_for_other(home: Home) -> State:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        state = find(home.path)
        if state is not None and state.phase != "stopping":
            return state
        time.sleep(_POLL)
    raise HomeError(
        # Cause: A supervisor that is about to end still holds the home.
        # Remedy: Wait. If it doesn't end, run `firstclick down`.
        f"{home.path} is held by another firstclick that is not starting: wait for "
        "it, or run `firstclick down`"
    )


def _end(supervisor: "subprocess.Popen[bytes]") -> None:
    if supervisor.poll() is None:
        supervisor.send_signal(signal.SIGTERM)
    try:
        supervisor.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()


def _environment(settings: Settings) -> dict[str, str]:
    return child_environment(settings.environment(), also=(*DOWNLOADING, *MODELS))
