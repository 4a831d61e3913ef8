"""The process that starts the stack, keeps it running and stops it.

``python -m firstclick.operate.supervisor [--servers-only]``, started by
firstclick.operate.stack. It holds the home's lock for as long as it lives and says what
it does in state.json. Kafka and PostgreSQL start side by side; the topics and the
models follow as soon as their server is there; then the connector, the publisher,
retention and the live page. What dies is started again, after half a second, then one,
two, … and at most 30. SIGTERM and SIGINT stop everything, readers and writers before
the servers.
"""

import argparse
import contextlib
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import msgspec
import psycopg

from firstclick.core import logging as logs
from firstclick.core.cluster import Cluster
from firstclick.core.database import connect
from firstclick.core.durations import hours_of_messages
from firstclick.core.environment import child_environment, forget_libpq
from firstclick.core.errors import FirstClickError, HomeError, ServerError
from firstclick.core.home import Child, Home, Phase, State, Step
from firstclick.core.metrics import ProcessMetrics, left
from firstclick.core.processes import Command, ProcessId, Running, end
from firstclick.core.settings import Settings
from firstclick.deploy.embedded import Deployer
from firstclick.operate.liveness import STABLE_SECONDS, SUPERVISOR, is_running
from firstclick.servers.certificates import Certificates, generated, given
from firstclick.servers.given import check_given
from firstclick.servers.kafka import MESSAGE_BYTES, Kafka
from firstclick.servers.postgres import Postgres
from firstclick.servers.roles import (
    HARDEN,
    LIMITS,
    READER,
    admit,
    admit_page,
    admit_workers,
    may_do_harm,
    oversee,
    role_of,
    role_url,
)
from firstclick.servers.sessions import Watch
from firstclick.servers.topics import create_topics, keep_long_enough

SERVERS = ("postgres", "kafka")
"""The names of the services that the others need."""

LOCKED = 3
"""The exit status where another supervisor holds the home."""

_LOCK_SECONDS = 0.5
"""To wait for the home's lock, which who asks whether it is held has for a moment."""

_READY_SECONDS = 30
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0

log = logging.getLogger(__name__)


class Service(Protocol):
    """Something that runs as a process of its own."""

    @property
    def name(self) -> str: ...

    def prepare(self, stopping: threading.Event) -> Command:
        """See to all that the process needs. Raises FirstClickError."""

    def wait_ready(self, running: Running) -> str:
        """Wait until it works, and say so to the user. Raises FirstClickError."""


@dataclass(frozen=True)
class Worker:
    """A module of the package that runs until it is told to stop.

    It connects to PostgreSQL with the application name ``firstclick <module>``.
    """

    name: str
    environment: dict[str, str]
    home: Home

    def prepare(self, stopping: threading.Event) -> Command:
        return Command(
            [sys.executable, "-m", self.module],
            child_environment(self.environment),
            self.home.path,
            record=partial(logs.as_record, self.name),
        )

    def wait_ready(self, running: Running) -> str:
        log = self.home.logs / f"{self.name}.log"
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if running.process.poll() is not None:
                reason = self._reason(running)
                raise ServerError(
                    f"the {self.title} ended at once: {reason}; see {log}"
                )
            if self._is_ready():
                return self._ready_text
            time.sleep(0.05)
        raise ServerError(
            f"the {self.title} was not ready within {_READY_SECONDS} s: see {log}"
        )

    @staticmethod
    def _reason(running: Running) -> str:
        last = running.last_words()[-1:]
        said = logs.parsed(last[0]) if last else None
        return said.event if said is not None else running.unsaid_reason()

    @property
    def module(self) -> str:
        return f"firstclick.workers.{self.name}"

    @property
    def title(self) -> str:
        return self.name

    @property
    def _ready_text(self) -> str:
        return self.title.capitalize()

    def _is_ready(self) -> bool:
        """Whether it has connected to PostgreSQL."""
        try:
            with connect(self.environment["DATABASE_URL"]) as connection:
                found = connection.execute(
                    "select from pg_stat_activity"
                    " where application_name = %s and datname = current_database()"
                    # Anyone may call themselves so
                    " and usename = current_user",
                    [f"firstclick {self.name}"],
                ).fetchone()
        except psycopg.OperationalError:
            return False
        return found is not None


@dataclass(frozen=True)
class Page(Worker):
    """The live page, which is ready when it answers."""

    host: str
    port: int
    token: str | None
    """What a browser must show, where others than this machine's may ask."""

    @property
    def module(self) -> str:
        return "firstclick.dashboard.server"

    @property
    def title(self) -> str:
        return "live page"

    @property
    def url(self) -> str:
        """Its address, token included."""
        return self._base + (f"/?token={self.token}" if self.token else "/")

    @property
    def _ready_text(self) -> str:
        # Not its address with the token, which is for the user and no log
        return f"Live page on {self._base}"

    @property
    def _base(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def _is_ready(self) -> bool:
        return is_running(self._base)


class Supervised(threading.Thread):
    """A thread that keeps one service running, and lives as long as its process.

    It must: the process gets its stop signal when the thread that started it ends.
    ``started`` resolves to what to tell the user, or to the error, of the first start.
    """

    def __init__(
        self, service: Service, home: Home, changed: Callable[[str, Child], None]
    ) -> None:
        super().__init__(name=service.name, daemon=True)
        self.started: Future[str] = Future()
        self._service = service
        self._home = home
        self._changed = changed
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._restarts = self._in_a_row = 0
        self._reason: str | None = None
        self._child: Child | None = None

    def run(self) -> None:
        self._keep_running()
        if not self.started.done():
            self.started.set_exception(ServerError(f"{self.name} was stopped"))

    def _keep_running(self) -> None:
        delay = _FIRST_DELAY
        while not self._stopping.is_set():
            start = time.monotonic()
            try:
                reason = self._run_once()
            except Exception as error:
                if not isinstance(error, FirstClickError):
                    log.exception("%s", self.name)
                reason = str(error)
                if not self.started.done():
                    self.started.set_exception(error)
                    return
            if self._stopping.is_set():
                return
            if time.monotonic() - start > STABLE_SECONDS:
                delay, self._in_a_row = _FIRST_DELAY, 0
            self._reason = reason
            self._change(running=False, reason=reason)
            log.warning(
                "%s: %s; starts again in %.1f s",
                *(self.name, reason, delay),
                extra={"service": self.name, "pause_seconds": delay},
            )
            self._stopping.wait(delay)
            delay = min(2 * delay, _LONGEST_DELAY)
            self._restarts += 1
            self._in_a_row += 1

    def _change(self, **changes: Any) -> None:
        if self._child is not None:
            self._child = msgspec.structs.replace(self._child, **changes)
            self._changed(self.name, self._child)

    def _run_once(self) -> str:
        command = self._service.prepare(self._stopping)
        with self._lock:
            if self._stopping.is_set():
                raise ServerError(f"{self.name} was stopped before it began")
            running = Running.start(self.name, command, self._home.logs)
            self._running = running
        process = running.id
        self._child = Child(
            process,
            restarts=self._restarts,
            in_a_row=self._in_a_row,
            began=time.monotonic(),
            reason=self._reason,
        )
        self._change()
        try:
            text = self._service.wait_ready(running)
            log.info(
                "%s (pid %d)",
                *(text, process.pid),
                extra={"service": self.name, "pid": process.pid},
            )
            if not self.started.done():
                self.started.set_result(text)
            code = running.process.wait()
        finally:
            running.stop()
            self._change(running=False)
        if code < 0:
            return f"ended by {signal.Signals(-code).name}"
        return f"ended with status {code}"

    def signal(self) -> None:
        """Ask the process to stop; it won't be started again."""
        self._stopping.set()
        with self._lock:
            if self._running is not None:
                self._running.signal()

    def stop(self) -> None:
        """Stop the process, within its patience."""
        self.signal()
        if self._running is not None:
            self._running.stop()
        if self.ident is not None:
            self.join(10)


class Supervisor:
    """One run of the stack, as a context manager that stops it."""

    def __init__(self, home: Home, settings: Settings, servers_only: bool) -> None:
        self.home = home
        self.settings = settings
        self._inbox: queue.SimpleQueue[Future[None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._begin = time.monotonic()
        self._servers: list[Supervised] = []
        self._workers: list[Supervised] = []
        self._worker_urls: dict[str, str] = {}
        self._page_url = ""
        self._stopping = threading.Event()
        self._deployer: Deployer | None = None
        self._pool = ThreadPoolExecutor(2)
        self.state = State(
            phase="starting",
            supervisor=ProcessId.of(os.getpid()),
            servers_only=servers_only,
            schema_name=settings.schema_name,
            topic_prefix=settings.topic_prefix,
        )
        self._metrics = ProcessMetrics(lambda: self.state.children)
        self._held = contextlib.ExitStack()

    def stop_soon(self) -> None:
        """Make ``run`` return; may be called from a signal handler."""
        self._inbox.put(None)

    def run(self) -> None:
        """Start everything, and return when told to stop.

        Raises FirstClickError for the first thing that can't be started.
        """
        try:
            self._run()
        except FirstClickError as error:
            if self.home.is_full or "No space left on device" in str(error):
                raise HomeError(
                    f"the disk of {self.home.path} is full, make room and start "
                    f"again: {error}"
                ) from error
            raise

    def _run(self) -> None:
        self._end_orphans()
        self._clear_metrics()
        self._save()
        self._held.enter_context(
            left(self._metrics.registry, self.home.metrics, SUPERVISOR)
        )
        database_url, self._kafka = self._addresses()
        with self._lock:
            self.state.database_url = database_url
            self.state.reader_url = self._role_url(database_url, READER)
            self.state.bootstrap_servers = self._kafka.servers
            self.state.kafka_security = self._kafka.security
        self._save()
        tasks = [self._pool.submit(self._start_database)]
        tasks += [self._pool.submit(self._start_kafka)]
        if not self._all_done(tasks):
            return
        if not self.state.servers_only:
            self._workers = self._workers_at_the_database()
            for worker in self._workers:
                worker.start()
            tasks = [
                self._pool.submit(self._wait_for, worker) for worker in self._workers
            ]
            if not self._all_done(tasks):
                return
        self._set_phase("ready")
        log.info("ready after %.1f s", time.monotonic() - self._begin)
        while self._inbox.get() is not None:
            pass

    def _all_done(self, tasks: list[Future[None]]) -> bool:
        """Wait for all, or for the wish to stop; raises what the first of them did."""
        for task in tasks:
            task.add_done_callback(self._inbox.put)
        for _ in tasks:
            done = self._inbox.get()
            if done is None:
                return False
            done.result()
        return True

    def _addresses(self) -> tuple[str, Cluster]:
        settings, home = self.settings, self.home
        certificates = self._certificates()
        database_url = settings.database_url
        if database_url is None:
            postgres = Postgres(
                home,
                home.port("postgres", settings.postgres_port),
                settings.postgres_user,
                certificates,
                settings.postgres_programs,
            )
            database_url = postgres.database_url
            self._servers.append(Supervised(postgres, home, self._changed))
        cluster = settings.kafka
        if cluster is None:
            kafka = Kafka(
                home,
                home.port("kafka", settings.kafka_port),
                home.port("kafka_controller", None),
                settings.kafka_flush_messages,
                certificates,
            )
            cluster = kafka.cluster
            self._servers.append(Supervised(kafka, home, self._changed))
        self._page = self._new_page()
        if not self.state.servers_only:
            self.state.live_url = self._page.url
            self._deployer = Deployer(
                home, database_url, settings.schema_name, settings.topic_prefix
            )
        # Started from here, the main thread, only when all ports are chosen
        for server in self._servers:
            server.start()
        return database_url, cluster

    def _certificates(self) -> Certificates | None:
        settings = self.settings
        if not settings.tls:
            return None
        files = (settings.tls_certificate, settings.tls_key, settings.tls_ca)
        certificate, key, authority = files
        if certificate is None or key is None or authority is None:
            return generated(self.home)
        return given(certificate, key, authority)

    def _new_page(self) -> Page:
        """The live page, which gets the database's address when there is a role."""
        settings, home = self.settings, self.home
        host, port = settings.live_host, home.port("live", settings.live_port)
        token = None
        if not settings.live_is_private:
            token = settings.live_token or home.password("live")
        environment = {
            "FIRSTCLICK_SCHEMA": settings.schema_name,
            "FIRSTCLICK_LIVE_HOST": host,
            "FIRSTCLICK_LIVE_PORT": str(port),
            "FIRSTCLICK_LIVE_TOKEN": token or "",
            "FIRSTCLICK_METRICS": str(home.metrics),
        }
        return Page("live", environment, home, host, port, token)

    def _workers_at_the_database(self) -> list[Supervised]:
        environment = {
            **self._kafka.environment(),
            "FIRSTCLICK_SCHEMA": self.settings.schema_name,
            "FIRSTCLICK_TOPIC_PREFIX": self.settings.topic_prefix,
            "FIRSTCLICK_METRICS": str(self.home.metrics),
        }
        workers: list[Service] = [
            Worker(name, {**environment, "DATABASE_URL": url}, self.home)
            for name, url in self._worker_urls.items()
            if name != "expire" or self.settings.expire
        ]
        workers.append(
            replace(
                self._page,
                environment={**self._page.environment, "DATABASE_URL": self._page_url},
            )
        )
        return [Supervised(worker, self.home, self._changed) for worker in workers]

    def _role_url(self, owner_url: str, work: str) -> str:
        role = role_of(work, self.settings.schema_name)
        return role_url(owner_url, role, self.home.password(work))

    def _start_database(self) -> None:
        given = self.settings.database_url
        if given is not None:
            start = time.monotonic()
            self._step(check_given(given, self.settings.schema_name), start)
        else:
            self._wait_for(self._server("postgres"))
        if self._deployer is not None:
            start = time.monotonic()
            database_url = self._deployer.database_url
            schema, password = self._deployer.schema_name, self.home.password
            reader = role_of(READER, schema)
            admitted = admit(database_url, reader, password(READER), LIMITS[READER])
            self._page_url = admit_page(database_url, schema, password)
            self._worker_urls = admit_workers(database_url, schema, password)
            as_owner = [
                name for name, url in self._worker_urls.items() if url == database_url
            ]
            self._step(self._deployer.deploy(as_owner, self._note_model), start)
            if as_owner:
                self._step(
                    f"{', '.join(as_owner).capitalize()} as the owner: no role of "
                    "theirs can log in, which takes createrole",
                    start,
                )
            watch = Watch(database_url, schema, password(READER), admitted, log)
            self._watch_readers(watch, start)

    def _watch_readers(self, watch: Watch, start: float) -> None:
        may_end = oversee(watch.owner_url, watch.role)
        if not may_end or may_do_harm(watch.owner_url, watch.role):
            self._step(
                f"Whoever reads as {watch.role} can stop writers and fill the disk: "
                f"see {HARDEN.name} in SECURITY.md",
                start,
            )
        if may_end:
            threading.Thread(
                target=watch.run, args=(self._stopping,), name="watch", daemon=True
            ).start()

    def _start_kafka(self) -> None:
        given = self.settings.kafka
        if given is None:
            self._wait_for(self._server("kafka"))
        start = time.monotonic()
        created = create_topics(
            self._kafka,
            self.settings.topic_prefix,
            self.settings.partitions,
            MESSAGE_BYTES if given is None else None,
        )
        if given is not None:
            self._step(f"Kafka on {given.servers}, as given", start)
        if created:
            self._step(f"Topics {', '.join(created)}", start)
        if given is None:
            changed = keep_long_enough(self._kafka, self.settings.topic_prefix)
            if changed:
                self._step(
                    f"Topics {', '.join(changed)} keep messages for "
                    f"{hours_of_messages():,} hours now",
                    start,
                )

    def _server(self, name: str) -> Supervised:
        return next(server for server in self._servers if server.name == name)

    def _wait_for(self, supervised: Supervised) -> None:
        start = time.monotonic()
        self._step(supervised.started.result(), start)

    def _step(self, text: str, start: float) -> None:
        with self._lock:
            self.state.steps.append(Step(text, time.monotonic() - start))
        self._save()

    def _note_model(self, text: str, seconds: float) -> None:
        with self._lock:
            self.state.steps.append(Step(f"Model {text}", seconds))
        self._save()

    def _changed(self, name: str, child: Child) -> None:
        with self._lock:
            self.state.children[name] = child
        self._save()

    def _set_phase(self, phase: Phase, error: str | None = None) -> None:
        with self._lock:
            self.state = msgspec.structs.replace(self.state, phase=phase, error=error)
        self._save()

    def _save(self) -> None:
        with self._lock:
            try:
                self.home.write(self.state, "state.json")
            except HomeError as error:
                # A full disk is no reason to stop what still runs
                log.error("%s", error)

    def _end_orphans(self) -> None:
        state = self.home.state
        if state is not None:
            end_children(state)

    def _clear_metrics(self) -> None:
        """Forget what the processes of an earlier run counted."""
        with self.home.errors():
            self.home.metrics.mkdir(mode=0o700, exist_ok=True)
            for file in self.home.metrics.iterdir():
                file.unlink()

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(
        self, kind: object, error: BaseException | None, trace: object
    ) -> None:
        self._stopping.set()
        self._set_phase("stopping", str(error) if error else None)
        if self._deployer is not None:
            self._deployer.stop()
        for worker in reversed(self._workers):
            worker.stop()
        for server in self._servers:
            server.signal()
        for server in self._servers:
            server.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._held.close()
        self._set_phase("failed" if error else "stopped", str(error) if error else None)


def end_children(state: State) -> None:
    """End what a supervisor that was killed has left behind, the servers last."""
    for name in sorted(state.children, key=lambda name: name in SERVERS):
        process = state.children[name].process.find()
        if process is not None:
            stop = signal.SIGINT if name == "postgres" else signal.SIGTERM
            end(process, stop, 30)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--servers-only", action="store_true")
    arguments = parser.parse_args()
    logs.configure("supervisor")
    forget_libpq()
    # What the processes write is for us alone
    os.umask(0o077)
    settings = Settings.load()
    home = Home.open(settings.home)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(home.locked(_LOCK_SECONDS))
        except HomeError as error:
            log.error("%s", error)
            return LOCKED
        logs.log_into(home.logs / "supervisor.log", "supervisor")
        supervisor = Supervisor(home, settings, arguments.servers_only)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: supervisor.stop_soon())
        try:
            with supervisor:
                supervisor.run()
        except FirstClickError as error:
            log.error("%s", error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
