"""One run of the stack: the process that starts everything, keeps it running, stops it.

firstclick.operate.stack starts it, as ``python -m firstclick.operate.supervisor
[--servers-only]``. It holds the home's lock for as long as it lives and reports its
progress in state.json.

Kafka and PostgreSQL start side by side; the topics and the models follow as soon as
their server answers; then the connector, the publisher, retention and the live page. A
process that dies is restarted after half a second, then one, two, … and at most 30.
SIGTERM and SIGINT stop everything, readers and writers before the servers.
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
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import msgspec

from firstclick.core import logging as logs
from firstclick.core.cluster import Cluster
from firstclick.core.durations import hours_of_messages
from firstclick.core.environment import forget_libpq
from firstclick.core.errors import FirstClickError, HomeError
from firstclick.core.home import Child, Home, Phase, State, Step
from firstclick.core.metrics import ProcessMetrics, left
from firstclick.core.processes import ProcessId, end
from firstclick.core.settings import Settings
from firstclick.core.signals import on_signals
from firstclick.deploy.embedded import Deployer
from firstclick.operate.liveness import SUPERVISOR
from firstclick.operate.services import Page, Service, Worker
from firstclick.operate.supervised import Supervised
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
"""The names of the services that all others need."""

LOCKED = 3
"""The exit status if another supervisor holds the home."""

_LOCK_SECONDS = 0.5
"""How long to wait for the home's lock. A process that only checks whether the lock is
held (`Home.is_held`) takes it for a moment.
"""


log = logging.getLogger(__name__)


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
            project=str(settings.project),
        )
        self._metrics = ProcessMetrics(lambda: self.state.children)
        self._held = contextlib.ExitStack()

    def stop_soon(self) -> None:
        """Make ``run`` return. May be called from a signal handler."""
        self._inbox.put(None)

    def run(self) -> None:
        """Start everything, and return when told to stop.

        Raises FirstClickError for the first service that can't be started.
        """
        try:
            self._run()
        except FirstClickError as error:
            if self.home.is_full or "No space left on device" in str(error):
                raise HomeError(
                    # Cause: The disk of the home has no room left.
                    # Remedy: Make room. Kafka has kept all messages that it
                    #   acknowledged.
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
        """Wait for all tasks; return False if told to stop meanwhile.

        Raises the error of the first task that fails.
        """
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
                *(home, database_url, settings.schema_name, settings.topic_prefix),
                settings.project,
            )
        # A process lives as long as the thread that started it, so the main thread
        # starts them; and only when all ports are chosen, so that none takes another's
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
        """Return the live page, still without the database's address.

        `_workers_at_the_database` adds it, when the page's role exists.
        """
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
            "FIRSTCLICK_PROJECT": str(settings.project),
        }
        return Page("live", environment, home, host, port, token)

    def _workers_at_the_database(self) -> list[Supervised]:
        environment = {
            **self._kafka.environment(),
            "FIRSTCLICK_SCHEMA": self.settings.schema_name,
            "FIRSTCLICK_TOPIC_PREFIX": self.settings.topic_prefix,
            "FIRSTCLICK_METRICS": str(self.home.metrics),
        }
        # Only retention reads the project, so the others keep working if you move it
        own = {"expire": {"FIRSTCLICK_PROJECT": str(self.settings.project)}}
        workers: list[Service] = [
            Worker(
                name,
                {**environment, **own.get(name, {}), "DATABASE_URL": url},
                self.home,
            )
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
            self.settings.project,
        )
        if given is not None:
            self._step(f"Kafka on {given.servers}, as given", start)
        if created:
            self._step(f"Topics {', '.join(created)}", start)
        if given is None:
            changed = keep_long_enough(
                self._kafka, self.settings.topic_prefix, self.settings.project
            )
            if changed:
                self._step(
                    f"Topics {', '.join(changed)} keep messages for "
                    f"{hours_of_messages(self.settings.project):,} hours now",
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
                # A full disk is no reason to stop the processes that still run
                log.error("%s", error)

    def _end_orphans(self) -> None:
        state = self.home.state
        if state is not None:
            end_children(state)

    def _clear_metrics(self) -> None:
        """Delete the metrics that the processes of an earlier run left."""
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
    """End the processes that a killed supervisor left behind, the servers last."""
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
    # Files that the processes write are readable by this user only
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
        held.enter_context(on_signals(supervisor.stop_soon, signal.SIGHUP))
        try:
            with supervisor:
                supervisor.run()
        except FirstClickError as error:
            log.error("%s", error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
