"""Five times the rate that the pipeline carries, and whether it copes.

``python -m benchmarks.overload`` sends for a minute unless you say otherwise.
Afterwards the pipeline must hold every message, no process may have exceeded its memory
limit, and the live page must have answered. The results are saved in
docs/overload.json.
"""

import http.client
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

import typer

from benchmarks.findings import Section, percentile
from benchmarks.report import Say, judged
from benchmarks.stage import Stage, staged
from benchmarks.throughput import ASKED
from firstclick.core.errors import ServerError

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "overload.json"

TIMES = 5
SECONDS = 60
CATCH_UP_PATIENCE = 3_600.0

MOST_MEGABYTES = {
    "kafka": 1_000,
    "postgres": 1_500,
    "connector": 300,
    "publisher": 200,
    "expire": 200,
    "live": 300,
}
"""Unshared memory that a process may use, in megabytes. PostgreSQL's includes all its
sessions, but not the shared buffers, whose size is a setting."""

PAGES = {"live page": "/d/firstclick-insights", "metrics": "/metrics"}
"""Pages to request again and again; the second one queries the database."""

MOST_SECONDS = 2.0
"""Seconds that 99 % of the answers may take."""

_PAUSE = 0.2
_PATIENCE = 30.0


def overload(seconds: int, say: Say) -> Section:
    """Send too much for ``seconds``; watch until all is stored and published."""
    section = Section("overload")
    with staged() as stage, Watch(stage) as watch:
        say(f"{TIMES * ASKED:,} events/s for {seconds} s")
        started = time.monotonic()
        sent = _flood(stage, seconds)
        rate, lag = sent / (time.monotonic() - started), stage.lag().messages
        say(f"{sent:,} sent, {lag:,} of them yet to be stored")
        caught_up = stage.drain(CATCH_UP_PATIENCE) + _published(stage)
        say(f"caught up after {caught_up:.0f} s")
        lost = sent - _kept(stage)
    section.add("asked for", TIMES * ASKED, "events/s")
    section.add("for", seconds, "s")
    section.add("sent", rate, "events/s")
    section.add("sent", sent, "messages")
    section.add("behind when all was sent", lag, "messages")
    section.add("then, until all was stored and published", caught_up, "s")
    section.add("lost", lost, "messages", target="none", met=lost == 0)
    for name, most in MOST_MEGABYTES.items():
        used = max(watch.megabytes[name])
        target = f"≤ {most:,}"
        section.add(f"{name}: most memory", used, "MB", target=target, met=used <= most)
    for name, times in watch.answers.items():
        late = percentile(times, 0.99)
        section.add(f"{name}: answered", len(times), "times")
        section.add(f"{name}: answer, median", percentile(times, 0.5), "s")
        section.add(
            f"{name}: answer, p99",
            late,
            "s",
            target=f"≤ {MOST_SECONDS:g}",
            met=late <= MOST_SECONDS,
        )
        section.add(f"{name}: answer, longest", max(times), "s")
    failed = len(watch.failures)
    section.add("no answer", failed, "times", target="never", met=failed == 0)
    section.series["megabytes"] = watch.megabytes
    section.series["failures"] = watch.failures
    return section


def _flood(stage: Stage, seconds: int) -> int:
    """Send from another process; return how many messages Kafka acknowledged."""
    module = [sys.executable, "-m", "benchmarks.load_generator"]
    servers, rate = stage.stack.bootstrap_servers, TIMES * ASKED
    ended = subprocess.run(
        [*module, servers, str(rate), str(seconds)],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        said = ended.stderr.strip().splitlines() or ["no reason given"]
        raise ServerError(
            f"the events could not be sent: {said[-1]}; see that Kafka runs, and try "
            "again"
        )
    return int(ended.stdout)


def _published(stage: Stage) -> float:
    """Wait until the publisher has published every change; return the seconds."""
    start = time.monotonic()
    while stage.value("select exists (select from checkouts_changes)"):
        time.sleep(0.1)
    return time.monotonic() - start


def _kept(stage: Stage) -> int:
    """Return how many messages the tables hold: the lower of two counts.

    Both must agree. One counts the raw rows; the other the accepted and rejected
    messages together, less the purchases whose checkout is missing.
    """
    raw = stage.value(
        "select (select count(*) from raw_clicks)"
        " + (select count(*) from raw_purchases)"
    )
    told = stage.value("select sum(accepted + rejected)::bigint from pipeline_health")
    unpriced = stage.value(
        "select (select count(*) from stg_purchases) - (select count(*) from checkouts)"
    )
    return int(min(raw, told - unpriced))


class Watch:
    """A context manager that samples memory once a second and requests the pages."""

    def __init__(self, stage: Stage) -> None:
        self.megabytes: dict[str, list[float]] = {name: [] for name in MOST_MEGABYTES}
        self.answers: dict[str, list[float]] = {name: [] for name in PAGES}
        self.failures: list[str] = []
        self._stage = stage
        self._address = urlsplit(stage.stack.live_url or "").netloc
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._weigh)] + [
            threading.Thread(target=self._keep_asking, args=page)
            for page in PAGES.items()
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _weigh(self) -> None:
        while not self._ended.wait(1.0):
            for name, used in self._stage.megabytes().items():
                self.megabytes[name].append(round(used, 1))

    def _keep_asking(self, name: str, path: str) -> None:
        while not self._ended.wait(_PAUSE):
            connection = http.client.HTTPConnection(self._address, timeout=_PATIENCE)
            start = time.monotonic()
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.failures.append(f"{name}: {answer.status}")
            except OSError as error:
                self.failures.append(f"{name}: {error}")
            finally:
                connection.close()
            self.answers[name].append(round(time.monotonic() - start, 4))


def main(
    seconds: Annotated[int, typer.Option(min=1, help="How long.")] = SECONDS,
    output: Annotated[Path, typer.Option(help="Where to save.")] = RESULTS,
) -> None:
    """Send five times what is carried, and see what gives way."""
    judged("overload", partial(overload, seconds), output)


if __name__ == "__main__":
    typer.run(main)
