"""The demo's view fits terminals of all sizes, with figures of all sizes."""

import io
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console
from rich.text import Text

from firstclick.demo.answers import Answers, Revenue, Share, Source
from firstclick.demo.bars import bar, columns
from firstclick.demo.display import group
from firstclick.demo.view import Frame, latency, summary, view
from firstclick.demo.watch import Away, Snapshot

SIZES = [(80, 24), (100, 30), (160, 50), (40, 12), (20, 6), (300, 100), (80, 10)]

FRAME = Frame("firstclick psql   postgresql://a@127.0.0.1:5432/a", 500, None)

SOURCES = ["Google", "Facebook", "Tiktok", "Youtube", "Twitter", "Gmail", "Unknown"]


def _answers(amount: int) -> Answers:
    money = Decimal(amount) + Decimal("0.123456")
    return Answers(
        Revenue(amount, money, money / 10, amount // 2),
        [
            Source(name, name != "Unknown", amount // n, money / n, money / n / 10)
            for n, name in enumerate(SOURCES, 1)
        ],
        [Share(f"Category {n}", money / n) for n in range(1, 11)],
        [Share("a reason that is rather long to tell", amount)] * 9,
        [Share(name, amount) for name in ("Female", "Male", "Other")],
        [money / n for n in range(1, 61)],
        amount,
        amount // 100,
    )


def _snapshot(amount: int) -> Snapshot:
    return Snapshot(
        seconds=amount % 4000,
        messages=amount,
        pace=float(amount),
        waiting=amount,
        p50=amount % 100_000,
        p99=amount,
        overall=(amount, amount),
        answers=_answers(amount),
        away=None,
    )


def _empty() -> Snapshot:
    return replace(_snapshot(0), p50=None, p99=None, answers=None)


NAMES = [
    *("\x1b[2J\x1b[31mred", "\x1b]0;title\x07", "\x9b2J", "\r\n\b\x7f", "\x00"),
    *("\u202etxt.exe", "\u2066\u2069", "\u2028", "\ud800", "\ufeff", "[bold red]x[/]"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_name_can_do_nothing_to_the_terminal(name: str, ascii_only: bool) -> None:
    answers = replace(
        _answers(7),
        sources=[Source(name, True, 1, Decimal(1), Decimal(1))],
        categories=[Share(name, Decimal(1))],
        failures=[Share(name, 1)],
        genders=[Share(name, 1)],
    )
    snapshot = replace(_snapshot(7), answers=answers)
    frame = replace(FRAME, ascii_only=ascii_only)
    for lines in (
        view(snapshot, frame, 160, 50),
        summary(answers, 160, ascii_only=ascii_only),
    ):
        assert all(line.plain.isprintable() for line in lines)
        terminal = io.StringIO()
        Console(file=terminal, width=200).print(group(lines))
        assert terminal.getvalue().replace("\n", "").isprintable()


def _text(lines: list[Text]) -> str:
    return "\n".join(line.plain for line in lines)


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("amount", [0, 1, 99, 12_345, 9_999_999])
def test_the_view_fits_the_terminal(amount: int, width: int, height: int) -> None:
    away = replace(_snapshot(amount), away=Away("PostgreSQL is away", 3.2))
    for snapshot in (_snapshot(amount), away, _empty()):
        lines = view(snapshot, FRAME, width, height)
        assert len(lines) == height
        assert max(line.cell_len for line in lines) <= width


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_what_the_figures_mean_stays_in_its_place(width: int, height: int) -> None:
    few, many = (view(_snapshot(n), FRAME, width, height) for n in (100, 9_999_999))
    for before, after in zip(few, many, strict=True):
        for word in ("asked", "accepted", "p99", "checkouts", "attributed", "profit"):
            assert before.plain.find(word) == after.plain.find(word)


def test_the_managers_question_comes_first_and_stays_longest() -> None:
    for width, height in SIZES:
        text = _text(view(_snapshot(12_345), FRAME, width, height))
        if height >= 10:
            assert "Which source earns?" in text
            assert "Google" in text
        assert ("Categories" in text) <= ("Which source earns?" in text)


def test_everything_is_there_in_80_by_24() -> None:
    text = _text(view(_snapshot(12_345), FRAME, 80, 24))
    words = ["asked", "accepted", "rejected", "p50", "p99", "attributed", "psql"]
    for word in [*words, *SOURCES, "Categories", "Payment failures", "Customers"]:
        assert word in text


def test_a_large_terminal_shows_the_revenue_by_the_minute() -> None:
    assert "by the minute" not in _text(view(_snapshot(100), FRAME, 80, 24))
    assert "by the minute" in _text(view(_snapshot(100), FRAME, 160, 50))


def test_a_database_that_is_away_is_told() -> None:
    away = replace(_snapshot(100), away=Away("PostgreSQL is away", 3.2))
    for width, height in SIZES[:4]:
        text = _text(view(away, FRAME, width, height))
        assert "PostgreSQL is" in text
    assert "PostgreSQL is away, since 3 s" in _text(view(away, FRAME, 80, 24))


def test_sources_that_are_no_advertisement_are_marked_in_words() -> None:
    lines = summary(_answers(100), 80)
    marked = [line.plain.split()[0] for line in lines if " no ad " in line.plain]
    assert marked == ["Unknown"]


def test_a_terminal_without_unicode_gets_none() -> None:
    frame = replace(FRAME, ascii_only=True)
    for width, height in SIZES:
        assert _text(view(_snapshot(12_345), frame, width, height)).isascii()
    assert _text(summary(_answers(12_345), 80, ascii_only=True)).isascii()


@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_bar_has_its_width_and_shows_the_smallest_share(ascii_only: bool) -> None:
    for share in (0.0, 0.0001, 0.3, 0.999, 1.0):
        drawn = bar(share, 10, ascii_only=ascii_only)
        assert len(drawn) == 10
        assert bool(drawn.strip()) == (share > 0)
    assert " " not in bar(1, 10, ascii_only=ascii_only)


def test_columns_are_as_high_as_their_shares() -> None:
    assert columns([0, 0.5, 1], 2, 2) == ["    ██", "  ████"]
    assert columns([0, 0.5, 1], 2, 1, ascii_only=True) == ["  #", " ##"]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "-"),
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1.0 s"),
        (99_999, "100.0 s"),
        (123_456, "123 s"),
    ],
)
def test_a_latency_is_short(milliseconds: int | None, text: str) -> None:
    assert latency(milliseconds) == text
