"""Findings of a section, as they are printed and saved."""

import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import psutil


@dataclass(frozen=True)
class Finding:
    """A measured figure and, where there is one, its target."""

    what: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None


@dataclass
class Section:
    """A section's findings, the series behind them, and the machine's state."""

    name: str
    findings: list[Finding] = field(default_factory=list)
    series: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=lambda: machine())

    def add(
        self,
        what: str,
        value: float,
        unit: str,
        *,
        target: str = "",
        met: bool | None = None,
    ) -> None:
        self.findings.append(Finding(what, round(value, 4), unit, target, met))

    def as_json(self) -> dict[str, Any]:
        """Return the section as it is saved, with the machine's load at this moment."""
        return {
            "findings": [asdict(finding) for finding in self.findings],
            "series": self.series,
            "machine": {**self.machine, "load_average_after": os.getloadavg()},
        }


def machine() -> dict[str, Any]:
    """Describe the machine: the load averages are over 1, 5 and 15 minutes."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average_before": os.getloadavg(),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the least value that at least ``share`` of the values don't exceed.

    For example, a share of 0.99 gives the 99th percentile.
    """
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]
