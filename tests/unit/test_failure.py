"""Other processes can read what a worker fails at, until it succeeds."""

import logging
import time
from pathlib import Path

import pytest

from firstclick.core.failure import QUIET_SECONDS, Failure, FailureFile, failures
from firstclick.core.waiting import Backoff


def _told(directory: Path) -> list[str]:
    return [f"{each.subject}: {each.reason}" for each in failures(directory, "test")]


def test_a_failure_is_told_until_it_works_again(tmp_path: Path) -> None:
    backoff = Backoff("Kafka", logging.getLogger("test"), tmp_path)
    assert _told(tmp_path) == []
    begun = time.monotonic()
    backoff.failed("first")
    backoff.failed("second\nCONTEXT:  of it")
    assert _told(tmp_path) == ["Kafka: second"]
    (failure,) = failures(tmp_path, "test")
    assert begun <= failure.since <= failure.latest <= time.monotonic()
    backoff.succeeded()
    assert _told(tmp_path) == []


def test_what_fails_in_each_of_its_lives_has_failed_since_the_first(
    tmp_path: Path,
) -> None:
    FailureFile(tmp_path, "test", "Kafka").note("first")
    (first,) = failures(tmp_path, "test")
    successor = FailureFile(tmp_path, "test", "Kafka")
    successor.note("again")
    (again,) = failures(tmp_path, "test")
    assert (again.since, again.reason) == (first.since, "again")
    successor.clear()
    assert _told(tmp_path) == []


def test_a_successor_that_works_ends_the_failure_of_its_predecessor(
    tmp_path: Path,
) -> None:
    FailureFile(tmp_path, "test", "Kafka").note("first")
    FailureFile(tmp_path, "test", "Kafka").clear()
    assert _told(tmp_path) == []


def test_what_works_and_fails_in_turn_is_told_all_the_while(tmp_path: Path) -> None:
    file = FailureFile(tmp_path, "test", "PostgreSQL")
    for _ in range(4):
        file.note("refused")
        file.clear()
    assert _told(tmp_path) == ["PostgreSQL: refused"]


@pytest.mark.parametrize(
    ("works", "relapses", "ago", "is_over"),
    [
        (False, 0, 1000.0, False),
        (True, 0, 0.0, True),
        (True, 9, QUIET_SECONDS - 1, False),
        (True, 9, QUIET_SECONDS + 1, True),
    ],
)
def test_a_failure_is_over_when_it_works_and_stays_so(
    works: bool, relapses: int, ago: float, is_over: bool
) -> None:
    failure = Failure("Kafka", "refused", 0.0, 0.0, works, relapses)
    assert failure.is_over(ago) is is_over


def test_a_worker_without_a_directory_leaves_nothing(tmp_path: Path) -> None:
    backoff = Backoff("Kafka", logging.getLogger("test"))
    backoff.failed("first")
    backoff.succeeded()
    assert list(tmp_path.iterdir()) == []
