"""The latency from sending an event until a query counts it.

A probe is a purchase of 1,000,000 pieces, far more than any customer of the generator
buys. A separate process sends the probes on a schedule that is fixed beforehand.
Another session polls `last_hour_revenue` at most once in five milliseconds. The sum
doesn't tell which purchases it counts, so the same statement, and with it the same
snapshot, also reads which of the outstanding probes are in `checkouts`. Each poll
checks that both agree: the view must count as many million units as there are visible
probes.

A probe's latency runs from the moment when it was *due* until the first answer that
counts it has arrived. So a late prober, a slow poll and the events that wait behind
them all count (no coordinated omission), and the time between polls is part of the
figure.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from random import Random

import msgspec

from benchmarks.findings import Section, percentile
from benchmarks.stage import Stage, staged, used_between
from firstclick.core.errors import FirstClickError
from firstclick_generator import Purchase, read_rows
from firstclick_generator.events import time_text, uuid7
from firstclick_generator.producer import open_producer
from firstclick_generator.reference import SEEDS, Product, User

TARGETS = {1_000: 0.100, 5_000: 0.250}
"""Seconds that 99 % of the probes may take, by the generator's events per second."""

PROBES = 20
"""Probes per second."""

PIECES = 1_000_000
POLL = 0.005
AHEAD = 1.0
"""Seconds before it is due from which a query looks for a probe: PostgreSQL takes the
snapshot later than we compose the query, and may see a probe sent in between."""

WARM_UP = 10.0
PATIENCE = 30.0

LOOK = """
select
    revenue.units,
    array(select purchase_id from checkouts where purchase_id = any(%b))
from last_hour_revenue as revenue
"""


@dataclass(frozen=True)
class Probe:
    """A purchase and the time at which to send it, in seconds since 1970."""

    purchase_id: str
    due: float


def latency(quick: bool, say: Callable[[str], None]) -> Section:
    """Measure the latency at 1,000 and at 5,000 events/s."""
    section = Section("latency")
    with staged() as stage:
        for rate, target in TARGETS.items():
            seconds = 10 if quick else 60
            say(f"{PROBES * seconds:,} probes among {rate:,} events/s")
            run = _Run(stage, rate, seconds)
            section.series[str(rate)] = run.as_json()
            for what, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1)):
                value = percentile(run.latencies, share)
                if what == "p99":
                    section.add(
                        f"{what} at {rate:,} events/s",
                        1000 * value,
                        "ms",
                        target=f"< {1000 * target:.0f}",
                        met=value < target,
                    )
                else:
                    section.add(f"{what} at {rate:,} events/s", 1000 * value, "ms")
            section.add(f"probes at {rate:,} events/s", len(run.latencies), "")
            section.add(
                f"between polls at {rate:,} events/s, p99",
                1000 * percentile(run.intervals, 0.99),
                "ms",
            )
    return section


class _Run:
    """A run at one rate: its latencies and poll intervals in seconds."""

    def __init__(self, stage: Stage, rate: int, seconds: int) -> None:
        self._seen = int(stage.value("select units from last_hour_revenue")) // PIECES
        with stage.generator(rate, WARM_UP + seconds + 2) as process:
            start = time.time() + WARM_UP
            random = Random(rate)
            probes = [
                Probe(uuid7(int(1000 * due), random.getrandbits(74)), due)
                for due in (start + n / PROBES for n in range(seconds * PROBES))
            ]
            context = get_context("spawn")
            receiver, sender = context.Pipe(duplex=False)
            prober = context.Process(
                target=_send, args=(stage.stack.bootstrap_servers, probes, sender)
            )
            prober.start()
            try:
                time.sleep(max(0.0, start - time.time()))
                before = stage.cpu_seconds(generator=process.pid)
                self._poll(stage, probes)
                after = stage.cpu_seconds(generator=process.pid)
                self._lateness: list[float] = receiver.recv()
            except EOFError as error:
                raise FirstClickError(
                    "the prober ended early, expected it to send all: see its traceback"
                ) from error
            finally:
                prober.terminate()
                prober.join()
            self._cpu = used_between(before, after)

    def _poll(self, stage: Stage, probes: Sequence[Probe]) -> None:
        under_way: dict[str, float] = {}
        self.latencies: list[float] = []
        self.intervals: list[float] = []
        coming = list(reversed(probes))
        deadline = probes[-1].due + PATIENCE
        answered = time.time()
        cursor = stage.database.cursor(binary=True)
        while coming or under_way:
            asked = time.time()
            while coming and coming[-1].due <= asked + AHEAD:
                probe = coming.pop()
                under_way[probe.purchase_id] = probe.due
            row = cursor.execute(LOOK, [list(under_way)], prepare=True).fetchone()
            now = time.time()
            assert row is not None
            units, visible = row
            self.latencies += [now - under_way.pop(probe) for probe in visible]
            self._seen += len(visible)
            if units // PIECES != self._seen:
                raise FirstClickError(
                    f"last_hour_revenue counts {units // PIECES} probes, expected the "
                    f"{self._seen} that are in checkouts: the models are inconsistent"
                )
            if now > deadline:
                raise FirstClickError(
                    f"{len(under_way)} of {len(probes)} probes were not counted "
                    f"{PATIENCE:.0f} s after the last was due: see the connector's lag"
                )
            self.intervals.append(now - answered)
            answered = now
            time.sleep(max(0.0, asked + POLL - now))

    def as_json(self) -> dict[str, object]:
        return {
            "latency_ms": [round(1000 * value, 1) for value in self.latencies],
            "prober_late_ms_p99": round(1000 * percentile(self._lateness, 0.99), 2),
            "poll_interval_ms_median": round(1000 * percentile(self.intervals, 0.5), 2),
            "cpu_seconds": self._cpu,
        }


def _send(servers: str, probes: Sequence[Probe], answer: Connection) -> None:
    """Send each probe when it is due; answer with the seconds that each was late."""
    user = read_rows(SEEDS / "users.csv", User)[0].user_id
    product = read_rows(SEEDS / "products.csv", Product)[0].product_id
    messages = [
        Purchase(
            purchase_id=probe.purchase_id,
            user_id=user,
            product_id=product,
            quantity=PIECES,
            discount=0.0,
            shipping_cost=0.0,
            total_cost=0.0,
            payment_method="Visa",
            payment_status="success",
            description="none",
            purchase_time=time_text(int(1000 * probe.due)),
        )
        for probe in probes
    ]
    late = []
    with open_producer(servers, {"linger.ms": 0}) as producer:
        producer.expect(["purchases"])
        for probe, message in zip(probes, messages, strict=True):
            time.sleep(max(0.0, probe.due - time.time()))
            late.append(time.time() - probe.due)
            payload = msgspec.json.encode(message)
            producer.send("purchases", message.key.encode(), payload)
            producer.check()
    answer.send(late)
