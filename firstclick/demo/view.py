"""The view: a snapshot as lines of text for a terminal of any size.

Everything has a fixed place, so that you can read figures while they change. If there
is no room, the least important parts are left out first. The colours are Okabe and
Ito's, which colour-blind people can tell apart as well; and no meaning depends on
colour alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rich.text import Text

from firstclick.core.printable import printable
from firstclick.demo.answers import Answers, Share
from firstclick.demo.bars import bar, columns
from firstclick.demo.watch import Snapshot

ADVERTISEMENT = "#56B4E9"
NO_ADVERTISEMENT = "#999999"
CATEGORY = "#009E73"
FAILURE = "#D55E00"
GENDER = "#CC79A7"
MINUTE = "#E69F00"
ALARM = "bold #D55E00 reverse"

_SOURCES = 7
"""How many sources are shown at most."""
_PANELS_FROM = 60
"""The width in columns from which two panels are side by side."""
_THIRD_PANEL_FROM = 120
"""The width in columns from which there is a third one."""
_CHART_HEIGHT = 16
"""The most lines that the chart fills."""

Lines = list[Text]
Figure = tuple[str, str]
"""A value and its caption."""


@dataclass(frozen=True)
class Frame:
    """The things that the view shows besides the snapshot.

    ``rate`` is in events a second, ``duration`` in seconds, None for no end.
    """

    address: str
    rate: float
    duration: float | None
    ascii_only: bool = False


def view(snapshot: Snapshot, frame: Frame, width: int, height: int) -> Lines:
    """Return the lines that fill a terminal of this size, at most ``height``."""
    lines = [_heading(snapshot, frame, width)]
    figures = _figures(snapshot, frame, width)
    if height < 14:
        figures = figures[: max(0, height - 4)]
    footer = [_footer(snapshot, frame, width)] if height >= 10 else []
    if height >= 18:
        lines.append(Text(f" {frame.address}", "dim"))
    if snapshot.away is not None:
        lines = [_alarm(snapshot, width), *lines[1:]]
    room = height - len(lines) - len(figures) - len(footer)
    sections = _sections(snapshot.answers, frame.ascii_only, width, room)
    used = sum(map(len, sections))
    spare = room - used
    for part in [figures, *sections]:
        if spare > 0 and part:
            lines.append(Text())
            spare -= 1
        lines += part
    lines += [Text() for _ in range(height - len(lines) - len(footer))]
    shown = [*lines, *footer][:height]
    for line in shown:
        line.truncate(width)
    return shown


def summary(answers: Answers, width: int, *, ascii_only: bool = False) -> Lines:
    """Return the insights only, in full length."""
    lines: Lines = []
    for section in (
        _sources(answers, ascii_only, width, None),
        _panels(answers, ascii_only, width, None),
        [] if _is_wide(width) else _genders(answers, ascii_only, width),
    ):
        lines += [*section, Text()]
    return lines[:-1]


def pace(rate: float) -> str:
    """Return a rate in events a second as text, for example ``1,500`` or ``0.25``."""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:,.3g}"


def latency(milliseconds: int | None) -> str:
    """Return a latency as text of at most six characters, for example ``340 ms``."""
    if milliseconds is None:
        return "-"
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    return f"{min(milliseconds / 1000, 9999):.{1 if milliseconds < 100_000 else 0}f} s"


def _heading(snapshot: Snapshot, frame: Frame, width: int) -> Text:
    left = " firstclick: first-click attribution, live"
    right = f"{_clock(snapshot.seconds)} "
    if frame.duration is not None:
        seconds = min(snapshot.seconds, frame.duration)
        right = f"{_clock(seconds)} of {_clock(frame.duration)} "
    return _line(left, right, width, "bold reverse")


def _alarm(snapshot: Snapshot, width: int) -> Text:
    assert snapshot.away is not None
    away = f" {snapshot.away.reason}, since {snapshot.away.seconds:.0f} s"
    return _line(away, "what is shown is from before ", width, ALARM)


def _footer(snapshot: Snapshot, frame: Frame, width: int) -> Text:
    left = " Freshness: from the arrival in Kafka until a query's answer has it"
    return _line(left, "Ctrl-C ends ", width, "dim")


def _line(left: str, right: str, width: int, style: str) -> Text:
    if len(left) + len(right) > width:
        right = ""
    return Text(left[:width] + right.rjust(width - len(left)), style)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def _figures(snapshot: Snapshot, frame: Frame, width: int) -> Lines:
    rows: list[tuple[str, list[Figure]]] = [
        (
            "Pace",
            [
                (f"{snapshot.pace:,.0f}", "events/s in"),
                (pace(frame.rate), "asked"),
                (f"{snapshot.waiting:,}", "waiting"),
                (f"{snapshot.messages:,}", "in this run"),
            ],
        ),
        ("Events", _events(snapshot.answers)),
        (
            "Freshness",
            [
                (latency(snapshot.p50), "p50"),
                (latency(snapshot.p99), "p99"),
                ("", "of the last minute"),
            ],
        ),
        ("Last hour", _last_hour(snapshot.answers)),
    ]
    fitting = max(1, (width - 11) // 23)
    lines = []
    for name, cells in rows:
        line = Text(f" {name:<10}")
        for value, caption in cells[:fitting]:
            if value:
                line.append(f"{value:>10}", "bold").append(f" {caption:<12}", "dim")
            else:
                line.append(f"    {caption}", "dim")
        lines.append(line)
    return lines


def _events(answers: Answers | None) -> list[Figure]:
    if answers is None:
        return [("-", "held"), ("-", "accepted"), ("-", "rejected")]
    return [
        (f"{answers.accepted + answers.rejected:,}", "held"),
        (f"{answers.accepted:,}", "accepted"),
        (f"{answers.rejected:,}", "rejected"),
    ]


def _last_hour(answers: Answers | None) -> list[Figure]:
    if answers is None:
        return [("-", "revenue"), ("-", "checkouts"), ("-", "attributed")]
    revenue = answers.revenue
    attributed = revenue.attributed_checkouts / (revenue.checkouts or 1)
    return [
        (_money(revenue.revenue), "revenue"),
        (f"{revenue.checkouts:,}", "checkouts"),
        (f"{attributed:.0%}", "attributed"),
        (_money(revenue.profit), "profit"),
    ]


def _sections(
    answers: Answers | None, ascii_only: bool, width: int, room: int
) -> list[Lines]:
    if answers is None or not answers.revenue.checkouts:
        return [[Text(" Waiting for the first checkout of the last hour")]]
    sources = _sources(answers, ascii_only, width, room)
    room -= len(sources)
    genders = [] if _is_wide(width) else _genders(answers, ascii_only, width)
    wanted = len(_panels(answers, ascii_only, width, None))
    if room < 4 + len(genders):
        genders = []
    room -= len(genders)
    panels = _panels(answers, ascii_only, width, room) if room >= 3 else []
    room -= len(panels)
    chart = []
    if len(panels) == wanted and room >= 12 and width >= 72:
        chart = _chart(answers, ascii_only, width, min(_CHART_HEIGHT, room - 7))
    return [sources, panels, genders, chart]


def _is_wide(width: int) -> bool:
    return width >= _THIRD_PANEL_FROM


def _sources(answers: Answers, ascii_only: bool, width: int, room: int | None) -> Lines:
    """Answer the first question: which sources earn, and which of them are paid for."""
    shown = answers.sources[:_SOURCES][: None if room is None else max(0, room - 1)]
    if not shown:
        return []
    rich_enough, wide = width >= 72, width >= 100
    length = width - 29 - 22 * rich_enough - 8 * wide
    title = _title(
        "Which source earns?",
        ["last hour, by the first click", "by the first click"],
        length + 17,
    )
    title.append(f"{'revenue':>11}", "dim")
    if wide:
        title.append(f"{'share':>8}", "dim")
    if rich_enough:
        title.append(f"{'profit':>11}{'checkouts':>11}", "dim")
    lines = [title]
    most = max(source.revenue for source in answers.sources) or 1
    total = sum(source.revenue for source in answers.sources) or 1
    for source in shown:
        is_advertisement = source.is_advertisement
        line = Text(f" {_fit(source.source, 9, ascii_only)} ")
        line.append(f"{'ad' if is_advertisement else 'no ad':<6}", "dim")
        line.append(
            bar(float(source.revenue / most), length, ascii_only=ascii_only),
            ADVERTISEMENT if is_advertisement else NO_ADVERTISEMENT,
        )
        line.append(f"{_money(source.revenue):>11}", "bold")
        if wide:
            line.append(f"{source.revenue / total:>8.1%}")
        if rich_enough:
            line.append(f"{_money(source.profit):>11}{source.checkouts:>11,}")
        lines.append(line)
    return lines


def _panels(answers: Answers, ascii_only: bool, width: int, room: int | None) -> Lines:
    """Return categories, failures and, on a wide screen, genders, side by side."""
    parts = [
        ("Categories", "revenue", answers.categories, CATEGORY),
        ("Payment failures", "checkouts", answers.failures, FAILURE),
    ]
    if _is_wide(width):
        parts.append(("Customers", "checkouts", answers.genders, GENDER))
    if width < _PANELS_FROM:
        parts = parts[:1]
    each = (width - 1) // len(parts)
    panels = [
        _panel(title, unit, shares, style, each - 1, ascii_only)
        for title, unit, shares, style in parts
    ]
    height = max(map(len, panels))
    if room is not None:
        height = min(height, room)
    lines = []
    for row in range(height):
        line = Text()
        for panel in panels:
            cell = panel[row] if row < len(panel) else Text()
            line.append_text(cell).append(" " * (each - cell.cell_len))
        line.rstrip()
        lines.append(line)
    return lines


def _panel(
    title: str,
    unit: str,
    shares: Sequence[Share],
    style: str,
    width: int,
    ascii_only: bool,
) -> Lines:
    names = max(14, *(len(share.name) for share in shares)) if shares else 14
    names = min(names, width - 18)
    length = width - names - 12
    lines = [_title(title, [], width - 10).append(f"{unit:>10}", "dim")]
    most = max((share.amount for share in shares), default=0) or 1
    for share in shares:
        line = Text(f" {_fit(share.name, names, ascii_only)} ")
        line.append(
            bar(float(share.amount / most), length, ascii_only=ascii_only), style
        )
        line.append(f"{_money(share.amount):>10}")
        lines.append(line)
    return lines


def _genders(answers: Answers, ascii_only: bool, width: int) -> Lines:
    total = sum(share.amount for share in answers.genders)
    if not total or width < _PANELS_FROM:
        return []
    names = min(8, max(len(share.name) for share in answers.genders))
    length = (width - 10) // max(3, len(answers.genders)) - names - 9
    line = Text(" Customers", "bold")
    for share in answers.genders:
        part = share.amount / total
        line.append(f"  {_fit(share.name, names, ascii_only)}", "not bold")
        line.append(f" {part:>4.0%} ", "not bold")
        drawn = bar(float(part), max(0, length), ascii_only=ascii_only)
        line.append(drawn, f"not bold {GENDER}")
    line.truncate(width)
    return [line]


def _chart(answers: Answers, ascii_only: bool, width: int, height: int) -> Lines:
    """Return the revenue by minute; the last, current minute is still growing."""
    most = max(answers.minutes) or 1
    each = max(1, (width - 12) // len(answers.minutes))
    shares = [float(amount / most) for amount in answers.minutes]
    lines = [_title("Revenue by the minute", ["last hour"], width)]
    drawn = columns(shares, height, each, ascii_only=ascii_only)
    for number, text in enumerate(drawn):
        label = _money(most) if number == 0 else "0" if number == height - 1 else ""
        lines.append(Text(f"{label:>10} ", "dim").append(text, f"not dim {MINUTE}"))
    length = each * len(answers.minutes)
    axis = "an hour ago" + "now".rjust(length - 11)
    lines.append(Text(f"{'':11}{axis}", "dim"))
    return lines


def _title(title: str, notes: Sequence[str], width: int) -> Text:
    """Return a title with the longest note that fits."""
    line = Text(f" {title}", "bold")
    for note in notes:
        if line.cell_len + len(note) + 2 <= width:
            line.append(f"  {note}", "not bold dim")
            break
    line.truncate(width, pad=True)
    return line


def _fit(name: str, width: int, ascii_only: bool) -> str:
    name = printable(name)
    if len(name) > width:
        name = name[: width - 1] + ("." if ascii_only else "…")
    return name.ljust(width)


def _money(amount: Decimal | int) -> str:
    return f"{amount:,.0f}"
