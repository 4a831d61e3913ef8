"""The faults of a run, their order and their results."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.findings import machine
from comparison import report
from faults.kinds import (
    Fault,
    another_shell,
    checkouts_created_again,
    clock_stepped,
    copy_cut,
    full_disk,
    full_log_disk,
    killed,
    killed_again,
    killed_at_start,
    one_stopped,
    partitions_added,
    records_deleted,
    settings_changed,
    stopped,
    two_killed,
)
from faults.load import Load
from faults.site import PROCESSES, SERVERS, Compared, Site

LONGEST_PAUSE = 2.0
"""The longest pause before a fault, in seconds; its length is random."""

RATE = 2_000.0
"""Events per second."""

SHORT_RATE = 500.0

SHORT: list[Fault] = [
    *map(killed, PROCESSES),
    *(two_killed(), killed_at_start(), one_stopped(), copy_cut(), full_log_disk()),
    *(settings_changed(), another_shell()),
    *(partitions_added(), checkouts_created_again(), records_deleted()),
    clock_stepped(),
]
"""The faults of a short run: each kind once."""

LONG: dict[str, list[Fault]] = {
    "kills": 5 * [killed(name) for name in PROCESSES] + 3 * [two_killed()],
    "kills at start": [
        *(2 * [killed_at_start()]),
        *map(killed_again, SERVERS),
    ],
    "stops": [stopped(name) for name in PROCESSES],
    "cuts": 3 * [copy_cut()],
    "topics": [
        *(2 * [partitions_added(), checkouts_created_again()]),
        *(4 * [records_deleted()]),
    ],
    "surroundings": 2 * [settings_changed(), another_shell(), clock_stepped()],
    "full disks": [*(2 * [full_disk(name) for name in SERVERS]), full_log_disk()],
}
"""The faults of a long run. After each group, the pipeline is compared once."""


@dataclass
class Row:
    """The results of one kind of fault."""

    fault: str
    kills: int = 0
    seconds: list[float] = field(default_factory=list)
    """For each time it was inflicted, the seconds until the pipeline had caught up."""
    lost: int = 0
    doubled: int = 0
    skipped: str = ""


@dataclass
class Tally:
    """The results of a run so far."""

    seed: int
    rate: float = RATE
    rows: dict[str, Row] = field(default_factory=dict)
    sent: int = 0
    """Messages sent; Kafka has acknowledged all of them."""
    machine: dict[str, Any] = field(default_factory=machine)
    """The machine and its load when the run began."""

    @property
    def kills(self) -> int:
        return sum(row.kills for row in self.rows.values())

    @property
    def lost(self) -> int:
        return sum(row.lost for row in self.rows.values())

    @property
    def doubled(self) -> int:
        return sum(row.doubled for row in self.rows.values())


def inflict(
    site: Site, faults: list[Fault], tally: Tally, say: Callable[[str], None]
) -> Compared:
    """Inflict faults on the pipeline under load, then compare it with the oracle.

    They come in random order at random moments. Messages that are lost or duplicated
    count for each of the faults. Raises ServerError, NoDiskError, TimeoutError.
    """
    rows = {
        fault.name: tally.rows.setdefault(fault.name, Row(fault.name))
        for fault in faults
    }
    with Load(
        site.pipeline, tally.rate, site.random.getrandbits(64), tally.sent
    ) as generated:
        for fault in site.random.sample(faults, len(faults)):
            row = rows[fault.name]
            if fault.needs in site.lacking:
                row.skipped = site.lacking[fault.needs]
                say(f"{fault.name}: skipped, {row.skipped}")
                continue
            time.sleep(site.random.uniform(0, LONGEST_PAUSE))
            done = fault.inflict(site)
            seconds = site.seconds_to_catch_up(generated, done.at)
            row.seconds.append(round(seconds, 2))
            row.kills += fault.kills
            seen = f" ({done.seen})" if done.seen else ""
            say(f"{fault.name}{seen}: caught up in {seconds:.1f} s")
    tally.sent = generated.sent
    compared = site.compared(tally.sent)
    for row in rows.values():
        row.lost += compared.lost
        row.doubled += compared.doubled
    if compared.differences:
        say(report(compared.differences))
    say(
        f"compared after {tally.sent:,} messages: {compared.lost} lost, "
        f"{compared.doubled} doubled"
    )
    return compared
