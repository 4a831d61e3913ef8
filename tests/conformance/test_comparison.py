"""A comparison finds every row that is missing and every one that is too much."""

from datetime import UTC, datetime
from decimal import Decimal

from comparison import compare, report

COLUMNS = {"sums": ("name", "sum")}
NOW = datetime(2026, 11, 23, 18, 4, 5, 123_000, tzinfo=UTC)


def test_rows_are_compared_by_value_in_no_order() -> None:
    expected = {"sums": [("a", Decimal("1.50")), ("b", 2)]}
    found = {"sums": [("b", Decimal("2")), ("a", Decimal("1.5"))]}
    assert compare(expected, found, COLUMNS) == []


def test_a_row_that_is_there_twice_must_be_expected_twice() -> None:
    [difference] = compare(
        {"sums": [("a", 1)]}, {"sums": [("a", 1), ("a", 1)]}, COLUMNS
    )
    assert difference.missing == []
    assert difference.unexpected == [("a", 1)]


def test_the_report_names_the_missing_and_the_unexpected_rows() -> None:
    differences = compare(
        {"sums": [("a", 1), (None, NOW)]},
        {"sums": [("a", Decimal("1.000001"))]},
        COLUMNS,
    )
    assert report(differences).splitlines() == [
        "sums: 2 rows missing, 1 unexpected",
        "  - name='a' sum=1",
        "  - name=null sum=2026-11-23T18:04:05.123000+00:00",
        "  + name='a' sum=1.000001",
    ]


def test_the_report_shows_the_beginning_of_what_is_long() -> None:
    rows = [("x" * 1_000, n) for n in range(25)]
    lines = report(compare({"sums": rows}, {"sums": []}, COLUMNS)).splitlines()
    assert len(lines) == 12
    assert lines[-1] == "  - … 15 more"
    assert "(1002 characters)" in lines[1]
