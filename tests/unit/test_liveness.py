"""The files that processes write tell whether they work."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firstclick.core.failure import FailureFile
from firstclick.core.home import Child, Home, State
from firstclick.core.processes import ProcessId
from firstclick.operate import liveness
from firstclick.operate.liveness import check_processes


@dataclass
class Found:
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.open(tmp_path)
    home.metrics.mkdir()
    for name in ("supervisor", "connector"):
        (home.metrics / f"{name}.prom").touch()
    return home


def _found(home: Home, in_a_row: int = 0, ago: float = 1.0, **child: object) -> Found:
    us = ProcessId.of(os.getpid())
    began = time.monotonic() - ago
    connector = Child(us, in_a_row=in_a_row, began=began, **child)  # type: ignore[arg-type]
    found = Found()
    check_processes(home, State("ready", us, children={"connector": connector}), found)
    return found


def test_all_is_well_without_any_sign(home: Home) -> None:
    assert _found(home) == Found()


@pytest.mark.parametrize(
    ("in_a_row", "ago", "problems", "warnings"),
    [(0, 1, 0, 0), (1, 1, 0, 1), (3, 1, 1, 0), (3, 59, 1, 0), (3, 61, 0, 0)],
)
def test_a_process_that_ends_again_and_again_is_a_problem(
    home: Home, in_a_row: int, ago: float, problems: int, warnings: int
) -> None:
    found = _found(home, in_a_row, ago, reason="ended by SIGKILL")
    assert (len(found.problems), len(found.warnings)) == (problems, warnings)
    assert all("ended by SIGKILL" in text for text in found.problems + found.warnings)


def test_a_process_that_does_not_run_is_a_problem_with_its_reason(home: Home) -> None:
    (problem,) = _found(home, running=False, reason="ended with status 1").problems
    assert problem.startswith("connector does not run: ended with status 1; see ")


@pytest.mark.parametrize("seconds", [-3600, -60, 60, 3600])
def test_metrics_that_are_not_renewed_are_a_problem_whatever_the_clock_says(
    home: Home, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    monkeypatch.setattr(liveness, "_LOOK_SECONDS", 0.2)
    renewed = time.time() - seconds
    os.utime(home.metrics / "supervisor.prom", (renewed, renewed))
    (problem,) = _found(home).problems
    assert problem.startswith("the supervisor stands still: it left its metrics")


@pytest.mark.parametrize("seconds", [-3600, -60, 60, 3600])
def test_a_clock_that_was_set_is_no_problem_where_metrics_are_renewed(
    home: Home, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    file = home.metrics / "supervisor.prom"
    now = time.time() - seconds
    os.utime(file, (now, now))

    def renew(pause: float) -> None:
        os.utime(file, (now + 1, now + 1))

    monkeypatch.setattr(liveness.time, "sleep", renew)
    assert _found(home) == Found()


def test_a_worker_that_never_left_its_metrics_stands_still(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "_LOOK_SECONDS", 0.2)
    (home.metrics / "connector.prom").unlink()
    assert _found(home, ago=1) == Found()
    (problem,) = _found(home, ago=60).problems
    assert problem.startswith("the connector stands still")


@pytest.mark.parametrize(
    ("patience", "told"),
    [(0.0, lambda found: found.problems), (9.0, lambda found: found.warnings)],
)
def test_a_failure_is_a_problem_once_it_lasts(
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    patience: float,
    told: Callable[[Found], list[str]],
) -> None:
    monkeypatch.setattr(liveness, "_FAILING_SECONDS", patience)
    FailureFile(home.metrics, "connector", "Kafka").note("it is away")
    found = _found(home)
    (text,) = told(found)
    assert "Kafka: it is away" in text
    assert len(found.problems) + len(found.warnings) == 1


def test_a_full_disk_is_the_problem(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Home, "is_full", True)
    (problem,) = _found(home).problems
    assert problem.startswith(f"the disk of {home.path} is full")
