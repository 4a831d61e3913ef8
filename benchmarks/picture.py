"""The results as one picture, on a ground of its own so that any page can hold it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.findings import percentile
from benchmarks.holding import TARGET
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


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the picture of what was measured, as SVG whose letters are outlines.

    There is none of sections that are not drawn.
    """
    panels: dict[str, Callable[[Axes, dict[str, Any]], None]] = {
        "throughput": _throughput,
        "latency": _latency,
        "copy": _copy,
        "flat": _flat,
        "psql": _psql,
    }
    drawn = [name for name in panels if name in results]
    if not drawn:
        return
    with plt.rc_context(STYLE):
        figure, _ = plt.subplots(
            len(drawn), 1, figsize=(8, 2.2 * len(drawn)), layout="constrained"
        )
        for name, panel in zip(drawn, figure.axes, strict=True):
            panels[name](panel, results[name]["series"])
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


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
