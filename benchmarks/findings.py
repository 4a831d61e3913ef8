"""What a section found, in the form in which it is printed and saved."""

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
    """One figure, and what was aimed at where something was."""

    what: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None


@dataclass
class Section:
    """One section's findings, the series behind them, and how the machine was."""

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
        """As it is saved; the machine's load is noted here once more."""
        return {
            "findings": [asdict(finding) for finding in self.findings],
            "series": self.series,
            "machine": {**self.machine, "load_average_after": os.getloadavg()},
        }


def machine() -> dict[str, Any]:
    """What the figures depend on; load averages are of 1, 5 and 15 minutes."""
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
    """The least value that so large a share of the values does not exceed."""
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]
