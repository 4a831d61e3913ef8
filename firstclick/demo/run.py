"""One run of the demo, from the start of the stack to its end."""

import contextlib
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from confluent_kafka import KafkaException
from psycopg.conninfo import conninfo_to_dict

from firstclick.core.errors import ServerError, SettingsError
from firstclick.core.home import Step
from firstclick.core.pipeline import Pipeline, find
from firstclick.core.processes import end
from firstclick.core.settings import Settings
from firstclick.core.signals import on_signals
from firstclick.demo.answers import Answers
from firstclick.demo.display import Display, display
from firstclick.demo.feed import Feed
from firstclick.demo.view import Frame, latency, pace
from firstclick.demo.watch import Offsets, Snapshot, Watch
from firstclick.operate import stack as stacks
from firstclick.workers.connector.source import Source

_REFRESH_SECONDS = 0.25
"""Time between two updates of the view."""
_POLL_SECONDS = 0.05
_FIRST_SECONDS = 10.0
"""How long to wait for the first message before the view is shown anyway."""
_ANSWER_SECONDS = 30.0
"""How long PostgreSQL may take for its first answer, and to catch up with earlier
events.
"""
_CATCH_UP_SECONDS = 10.0
"""How long to wait at the end until the answers include all that was sent."""
_HURRY_SECONDS = 2.0
"""The same after a signal: somebody waits for the end."""


def run(
    settings: Settings,
    *,
    duration: float | None,
    rate: float,
    backfill_hours: float = 0,
    shown: Display | None = None,
) -> None:
    """Start the stack, feed it, show its answers, and stop it again.

    A stack that is already up is used and stays up. The demo ends after ``duration``
    seconds of events, or at SIGINT, SIGTERM or SIGHUP, which is no error. Events come
    at ``rate`` a second, after a backfill of the past ``backfill_hours``. ``shown``
    defaults to the display that suits stdout. Whatever happens, no process that the
    demo started is left when it returns. Raises FirstClickError.
    """
    _expect(0 < rate < math.inf, "rate", "above 0", rate)
    _expect(
        duration is None or 0 < duration < math.inf, "duration", "above 0", duration
    )
    _expect(0 <= backfill_hours < math.inf, "backfill", "0 or above", backfill_hours)
    shown = shown or display()
    with Signals() as signals:
        try:
            with _no_orphans():
                last = Demo(settings, duration, rate, backfill_hours, shown).run(
                    signals
                )
        except KeyboardInterrupt:
            last = "Stopped before it was ready."
        shown.say(last)


class Signals:
    """SIGINT, SIGTERM and SIGHUP while it is open; those after the first are ignored.

    A signal raises KeyboardInterrupt only inside ``interrupting``; elsewhere it only
    sets ``came``.
    """

    def __init__(self) -> None:
        self.came = False
        self._interrupts = False

    @contextlib.contextmanager
    def interrupting(self) -> Iterator[None]:
        """Raise KeyboardInterrupt in this block if a signal comes or has come."""
        self._interrupts = True
        try:
            if self.came:
                raise KeyboardInterrupt
            yield
        finally:
            self._interrupts = False

    def _handle(self) -> None:
        if not self.came:
            self.came = True
            if self._interrupts:
                raise KeyboardInterrupt

    def __enter__(self) -> "Signals":
        self._handled = on_signals(self._handle, signal.SIGHUP)
        self._handled.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._handled.__exit__(None, None, None)


class Demo:
    """One run: the settings, the display, and the measurements so far."""

    def __init__(
        self,
        settings: Settings,
        duration: float | None,
        rate: float,
        backfill_hours: float,
        shown: Display,
    ) -> None:
        self._settings = settings
        self._duration = duration
        self._rate = rate
        self._backfill_hours = backfill_hours
        self._shown = shown
        self._first: float | None = None
        self._ran = 0.0
        self._before: Answers | None = None

    def run(self, signals: Signals) -> str:
        """Run the demo and return its last line, the totals."""
        shown = self._shown
        with contextlib.ExitStack() as running:
            was_up = self._is_up()
            with signals.interrupting():
                started = self._start(running, was_up)
            self._stack = started
            with contextlib.ExitStack() as watching:
                self._watch = watching.enter_context(Watch(started))
                self._before = self._first_answers(signals)
                last = self._feed_and_show(signals)
            shown.report(last)
            if was_up:
                shown.say(f"Left up in {started.home}: `firstclick down` stops it.")
            else:
                if self._first is not None:
                    shown.say(
                        "First attributed checkout on screen "
                        f"{self._first:.1f} s after the start."
                    )
                with shown.busy("Stopping …"):
                    running.close()
        return _totals(last, self._before, self._ran)

    def _is_up(self) -> bool:
        state = find(self._settings.home)
        return state is not None and state.phase == "ready"

    def _start(self, running: contextlib.ExitStack, was_up: bool) -> Pipeline:
        shown = self._shown

        def say_step(step: Step) -> None:
            shown.say(f"{step.text}  {step.seconds:.1f} s")

        if was_up:
            up = stacks.up(self._settings)
            started = running.enter_context(up).pipeline
            shown.say(f"Uses what is up in {started.home}")
            shown.say(f"Live page on {started.live_url}")
        else:
            up = stacks.up(self._settings, on_step=say_step)
            with shown.busy("Starting Kafka, PostgreSQL and what is between them …"):
                started = running.enter_context(up).pipeline
        shown.say(f"Connect with  {address(started)}")
        return started

    def _first_answers(self, signals: Signals) -> Answers | None:
        """Return the answers before this run, once they include earlier events."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        while not self._watch.is_ready and not signals.came:
            if time.monotonic() > deadline:
                away = self._watch.snapshot().away
                reason = away.reason if away else "it is slow"
                raise ServerError(
                    f"PostgreSQL was expected to answer within {_ANSWER_SECONDS:.0f} s,"
                    f" but did not ({reason}): see `firstclick status`"
                )
            time.sleep(_POLL_SECONDS)
        sent = self._sent()
        if not self._watch.has_seen(sent):
            with self._shown.busy("Catching up with earlier events …"):
                self._catch_up(sent, deadline, signals)
        self._watch.begin()
        return self._watch.snapshot().answers

    def _feed_and_show(self, signals: Signals) -> Snapshot:
        shown, watch = self._shown, self._watch
        addresses = f"{self._stack.live_url}   {address(self._stack)}"
        frame = Frame(addresses, self._rate, self._duration)
        feed = Feed(self._stack, self._rate, self._duration, self._backfill_hours)
        with feed:
            start = time.monotonic()
            with shown.busy("Starting the generator …"):
                while (
                    not signals.came
                    and feed.runs
                    and not watch.snapshot().messages
                    and time.monotonic() - start < _FIRST_SECONDS
                ):
                    time.sleep(_POLL_SECONDS)
            if signals.came:
                return watch.snapshot()
            shown.say(
                f"Generator at {pace(self._rate)} events/s, the first of them in a "
                f"query's answer  {time.monotonic() - start:.1f} s"
            )
            with shown.live(frame):
                self._show()
                while not signals.came and feed.runs:
                    self._check_stack()
                    time.sleep(_REFRESH_SECONDS)
                    self._show()
                feed.stop()
                self._ran = feed.progress.seconds if feed.progress else 0.0
                patience = _HURRY_SECONDS if signals.came else _CATCH_UP_SECONDS
                self._catch_up(self._sent(), time.monotonic() + patience)
                return watch.snapshot()

    def _show(self) -> None:
        snapshot = self._watch.snapshot()
        self._shown.show(snapshot)
        now = snapshot.answers
        if (
            self._first is None
            and now is not None
            and now.revenue.attributed_checkouts
            and now.accepted > (self._before.accepted if self._before else 0)
        ):
            self._first = time.time() - psutil.Process().create_time()

    def _check_stack(self) -> None:
        if not self._is_up():
            raise ServerError(
                f"the stack in {self._stack.home} was stopped, expected it to run "
                "until the end: start the demonstration again"
            )

    def _catch_up(
        self, sent: Offsets, deadline: float, signals: Signals | None = None
    ) -> None:
        """Wait until the answers include all that was sent, or until the deadline."""
        moment = math.inf
        while time.monotonic() < deadline and not (signals and signals.came):
            if moment == math.inf and self._watch.has_seen(sent):
                moment = time.monotonic()
            if self._watch.answered_since(moment):
                return
            self._shown.show(self._watch.snapshot())
            time.sleep(_POLL_SECONDS)

    def _sent(self) -> Offsets:
        stack = self._stack
        try:
            with Source(stack.kafka, stack.topic_prefix) as source:
                found = source.high_watermarks(source.partitions())
        except KafkaException:
            return {}
        return {
            (topic, partition): offset
            for topic, offsets in found.items()
            for partition, offset in offsets.items()
        }


def address(stack: Pipeline) -> str:
    """Return how to connect to the database from a shell, without the password."""
    given = conninfo_to_dict(stack.database_url)
    user, host = given.get("user", ""), given.get("host", "localhost")
    place = f"{host}:{given.get('port', 5432)}/{given.get('dbname', user)}"
    return f"{_command()} psql   postgresql://{user}@{place}"


def _command() -> str:
    program = Path(sys.argv[0])
    if program.name != "firstclick":
        return "firstclick"
    with contextlib.suppress(ValueError):
        return str(program.relative_to(os.getcwd()))
    return str(program)


def _totals(last: Snapshot, before: Answers | None, seconds: float) -> str:
    p50, p99 = last.overall
    text = f"Totals: {last.messages:,} messages in {seconds:.1f} s"
    if last.answers is not None and before is not None:
        revenue = last.answers.revenue
        text += (
            f": {last.answers.accepted - before.accepted:,} accepted, "
            f"{last.answers.rejected - before.rejected:,} rejected"
            f"; {revenue.attributed_checkouts:,} of {revenue.checkouts:,} checkouts "
            "of the last hour attributed"
        )
    if last.waiting:
        text += f"; {last.waiting:,} events still on their way"
    return f"{text}; freshness p50 {latency(p50)}, p99 {latency(p99)}"


@contextlib.contextmanager
def _no_orphans() -> Iterator[None]:
    """End processes that were started in the block and still run at its end.

    There are some only if a signal came at the very moment of their start.
    """
    before = set(psutil.Process().children())
    try:
        yield
    finally:
        for child in set(psutil.Process().children()) - before:
            end(child, signal.SIGTERM, 90)


def _expect(holds: bool, name: str, form: str, value: float | None) -> None:
    if not holds:
        raise SettingsError(f"--{name} is {value}, expected a number {form}")
