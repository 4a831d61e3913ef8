"""The results as one picture, with a background so that it fits on any page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.findings import percentile
from benchmarks.full_hour import TARGET
from benchmarks.growth import KEPT
from benchmarks.latency import TARGETS

STYLE: dict[Any, Any] = {
    "svg.fonttype": "path",
    "svg.hashsalt": "firstclick",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": "#24292f",
    "axes.labelcolor": "#57606a",
    "axes.edgecolor": "#afb8c1",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#eaeef2",
    "xtick.color": "#57606a",
    "ytick.color": "#57606a",
    "figure.facecolor": "#ffffff",
    "legend.frameon": False,
}
BLUE, ORANGE, GREY = "#0969da", "#bc4c00", "#8c959f"


def draw(results: dict[str, Any], path: Path) -> bool:
    """Draw the results as SVG, with letters as outlines so that no font is needed.

    Only some sections have a picture. Returns whether one was written.
    """
    panels: list[tuple[str, Callable[[Axes, dict[str, Any]], None]]] = [
        ("throughput", _throughput),
        ("latency", _latency),
        ("copy", _copy),
        ("flat", _flat),
        ("psql", _psql),
        ("soak", _rows_by_hour),
        ("soak", _disk_by_hour),
        ("soak", _memory_by_hour),
        ("soak", _cost_by_hour),
    ]
    drawn = [(name, panel) for name, panel in panels if name in results]
    if not drawn:
        return False
    with plt.rc_context(STYLE):
        figure, _ = plt.subplots(
            len(drawn), 1, figsize=(8, 2.2 * len(drawn)), layout="constrained"
        )
        for (name, panel), axes in zip(drawn, figure.axes, strict=True):
            panel(axes, results[name]["series"])
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)
    return True


def _throughput(axes: Axes, series: dict[str, Any]) -> None:
    run = series["asked"]
    axes.set_title(
        f"{run['carried']:,} of {run['asked']:,} events/s carried: "
        "the connector's lag, in events"
    )
    axes.plot(run["seconds"], run["lag"], color=BLUE)
    axes.axhline(run["asked"], color=GREY, linestyle="--")
    axes.annotate(
        "one second's events",
        (0, run["asked"]),
        xytext=(2, 3),
        textcoords="offset points",
        color=GREY,
    )
    axes.set_ylim(0)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("seconds")


def _latency(axes: Axes, series: dict[str, Any]) -> None:
    axes.set_title("From an event's due time to its being counted in last_hour_revenue")
    for (rate, target), color in zip(TARGETS.items(), (BLUE, ORANGE), strict=True):
        latencies = series[str(rate)]["latency_ms"]
        shares = [step / 200 for step in range(201)]
        axes.plot(
            [percentile(latencies, share) for share in shares],
            [100 * share for share in shares],
            color=color,
            label=f"{rate:,} events/s",
        )
        axes.plot([1000 * target], [99], "v", color=color)
    axes.plot([], [], "v", color=GREY, label="target: 99 % left of it")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.set_xlabel("milliseconds")
    axes.set_ylabel("% of probes")
    axes.legend(loc="lower right")


def _copy(axes: Axes, series: dict[str, Any]) -> None:
    axes.set_title("An event in a batch of 5,000: everything, and a bare COPY of it")
    names = ("pipeline", "bare")
    values = [series[f"{name}_microseconds_per_event"] for name in names]
    for position, (row, color) in enumerate(zip(values, (BLUE, GREY), strict=True)):
        axes.plot(row, [-position] * len(row), "|", color=color, markersize=12)
    axes.set_yticks([0, -1], ["pipeline", "COPY"])
    axes.set_ylim(-1.6, 0.6)
    axes.set_xlim(0)
    axes.set_xlabel("microseconds, a mark a batch")


def _flat(axes: Axes, series: dict[str, Any]) -> None:
    axes.set_title("An event's cost, by how many are held")
    held = [number / 1e6 for number in series["events_held"]]
    axes.plot(held, series["microseconds_per_event"], color=GREY, label="time")
    axes.plot(held, series["cpu_microseconds_per_event"], color=BLUE, label="CPU")
    axes.set_ylim(0)
    axes.set_xlabel("million events held")
    axes.set_ylabel("µs")
    axes.legend(loc="lower right", ncols=2)


def _psql(axes: Axes, series: dict[str, Any]) -> None:
    axes.set_title("Answers from an hour at 1,000 events/s")
    names = list(reversed(series))
    axes.boxplot(
        [series[name] for name in names],
        orientation="horizontal",
        whis=(1, 99),
        showfliers=False,
        medianprops={"color": BLUE},
        widths=0.6,
    )
    axes.set_yticks(range(1, len(names) + 1), names)
    axes.axvline(1000 * TARGET, color=GREY, linestyle="--")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.set_xlabel("milliseconds: median, quartiles, 1 and 99 %")


def _rows_by_hour(axes: Axes, series: dict[str, Any]) -> None:
    axes.set_title("What is kept as the pipeline gets older: million rows")
    rows = series["rows"]
    of_messages = _total(rows, lambda name: name.startswith("raw_"))
    derived = _total(rows, lambda name: not name.startswith("raw_"))
    _by_hour(axes, series, {"messages": of_messages, "what came of them": derived}, 1e6)


def _disk_by_hour(axes: Axes, series: dict[str, Any]) -> None:
    axes.set_title("Megabytes on the disk, PostgreSQL's write-ahead log apart")
    disk = series["disk_megabytes"]
    tables = _total(disk, lambda name: name in ("tables", "indexes"))
    kafka = _total(disk, lambda name: name.startswith("Kafka"))
    _by_hour(axes, series, {"PostgreSQL": tables, "Kafka": kafka})


def _memory_by_hour(axes: Axes, series: dict[str, Any]) -> None:
    axes.set_title("Megabytes of memory, by process")
    memory = series["memory_megabytes"]
    workers = _total(memory, lambda name: name not in ("kafka", "postgres"))
    lines = {"Kafka": memory["kafka"], "PostgreSQL": memory["postgres"]}
    _by_hour(axes, series, {**lines, "the others": workers})


def _cost_by_hour(axes: Axes, series: dict[str, Any]) -> None:
    axes.set_title("CPU of Kafka, connector and PostgreSQL, µs an event")
    _by_hour(axes, series, {"": series["cpu_microseconds_per_event"]})
    axes.set_xlabel("hours of events")


def _by_hour(
    axes: Axes, series: dict[str, Any], lines: dict[str, list[float]], unit: float = 1
) -> None:
    for (name, values), color in zip(lines.items(), (BLUE, ORANGE, GREY), strict=False):
        hours = series["hours"][-len(values) :]
        axes.plot(hours, [value / unit for value in values], color=color, label=name)
    axes.axvline(KEPT, color=GREY, linestyle="--")
    axes.set_xlim(0)
    axes.set_ylim(0)
    axes.yaxis.set_major_formatter("{x:,g}")
    if len(lines) > 1:
        axes.legend(loc="lower right", ncols=len(lines))


def _total(
    series: dict[str, list[float]], counted: Callable[[str], bool]
) -> list[float]:
    chosen = [values for name, values in series.items() if counted(name)]
    return [sum(values) for values in zip(*chosen, strict=True)]
