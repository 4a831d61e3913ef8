"""The soak benchmark tells level values from growing ones."""

import pytest

from benchmarks.clock import HOUR, Clock
from benchmarks.findings import Section
from benchmarks.growth import KEPT, SETTLED, Measure

HOURS = [float(hour) for hour in range(1, 97)]


def found(values: list[float], **how: object) -> dict[str, bool | None]:
    section = Section("soak")
    Measure("rows", values, "", 3, **how).add_to(section, HOURS)  # type: ignore[arg-type]
    return {finding.what: finding.met for finding in section.findings}


def test_what_stays_where_it_was_is_level() -> None:
    rows = [min(hour, KEPT + SETTLED) + hour % 2 / 10 for hour in HOURS]
    assert found(rows) == {
        "rows, from hour 50": None,
        "rows, later half by the earlier": True,
    }


def test_what_grows_with_age_is_not() -> None:
    assert found(HOURS)["rows, later half by the earlier"] is False


def test_what_is_cleared_away_now_and_then_is_judged_by_its_most() -> None:
    saw = [100 + hour % 7 for hour in HOURS]
    assert found(saw, of=max)["rows, later half by the earlier"] is True
    saw[-1] = 120
    assert found(saw, of=max)["rows, later half by the earlier"] is False


def test_a_run_that_ended_before_anything_settled_says_nothing() -> None:
    assert found(HOURS, later=len(HOURS)) == {}


def test_a_fast_clock_is_the_same_in_another_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(1_795_000_000.25, 180.5)
    monkeypatch.setattr("sys.argv", ["compressed", *clock.arguments, "expire"])
    assert Clock.from_arguments() == clock
    waited: list[float] = []
    monkeypatch.setattr("time.time", lambda: clock.started + 10)
    assert clock.now() == clock.started + 1805
    clock.wait_until(clock.now() + HOUR, waited.append)
    assert waited == [pytest.approx(HOUR / 180.5)]
