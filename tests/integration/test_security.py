"""A stack with TLS admits the right clients, and keeps its passwords to itself.

Whether commands succeed or fail, each generated password is only in its own file.
"""

import json
import os
import re
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

import msgspec
import psutil
import psycopg
import pytest
from confluent_kafka import KafkaException

import tls_programs
from events import click, purchase
from firstclick.core.cluster import Admin, Cluster, Security
from firstclick.core.database import postgres_environment
from firstclick.core.errors import FirstClickError
from firstclick.core.home import Home, Layout
from firstclick.core.pipeline import Pipeline, running
from firstclick.core.project import PROJECT
from firstclick.core.settings import Settings
from firstclick.operate import stack as stacks
from firstclick.servers.certificates import generated
from harness import Harness
from worker_world import Worker

pytestmark = pytest.mark.timeout(300)

KEEPERS = (
    *("*.password", "state.json", "kafka/server.properties"),
    *("tls/server.key", "kafka/keystore.pem", "postgres/server.key"),
)
"""The files of a home that hold passwords or the servers' key, all with mode 0600."""

LOOKS = 5
"""How often to read a process's command line, a tenth of a second apart."""

DATA = ("kafka/data", "postgres/data/base", "postgres/data/pg_wal")


@dataclass
class Site:
    """A stack that was started from the command line, and all its output."""

    home: Path
    programs: Path
    """The directory of PostgreSQL's programs, with TLS."""
    dbt: Path
    """The directory to which dbt writes when you run it by hand."""
    said: dict[str, str] = field(default_factory=dict)
    """The output by command, and under ``ps`` the command lines of all processes."""
    _numbers: Iterator[int] = field(default_factory=count)

    def firstclick(
        self, *arguments: str, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        return self.run(
            [str(Path(sys.executable).with_name("firstclick")), *arguments],
            {
                "FIRSTCLICK_HOME": str(self.home),
                "FIRSTCLICK_LIVE_HOST": "0.0.0.0",
                "FIRSTCLICK_TLS": "true",
                "FIRSTCLICK_POSTGRES_PROGRAMS": str(self.programs),
            }
            | variables,
        )

    def run(
        self, command: list[str], variables: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            command,
            env={**os.environ, **variables},
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said[f"{next(self._numbers)} {command[1:]}"] = done.stdout
        return done

    @property
    def stack(self) -> Pipeline:
        settings = Settings.load().model_copy(update={"home": self.home})
        return running(settings)

    def secrets(self) -> dict[str, str]:
        key = (self.home / "tls" / "server.key").read_text().splitlines()[1]
        return {"the key": key} | {
            file.stem: file.read_text() for file in self.home.glob("*.password")
        }

    def files(self) -> Iterator[Path]:
        """Yield the home's files, except for the servers' data."""
        for directory, _, names in os.walk(self.home):
            within = Path(directory).relative_to(self.home)
            if not any(within.is_relative_to(data) for data in DATA):
                yield from (Path(directory) / name for name in names)


@contextmanager
def watched(site: Site) -> Iterator[None]:
    """Record the command line of every process while the block runs."""
    seen: set[str] = set()
    looks = Counter[int]()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            for pid in psutil.pids():
                # A new process first shows its parent's command line, then its own
                if looks[pid] < LOOKS:
                    looks[pid] += 1
                    with suppress(psutil.Error):
                        seen.add(" ".join(psutil.Process(pid).cmdline()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        site.said["ps"] = "\n".join(seen)


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    # Not in pytest's directory, which PostgreSQL's user can't access
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield tls_programs.install(Path(directory))


@pytest.fixture(scope="module")
def site(
    programs: Path,
    make_home: Callable[[], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """Run a stack and every command on it, some of them with wrong arguments."""
    scratch = tmp_path_factory.mktemp("scratch")
    site = Site(make_home(), programs, scratch / "dbt")
    with watched(site):
        assert site.firstclick("up", "--detach").returncode == 0, site.said
        stack = site.stack
        kafka = stack.kafka.environment()
        database = {
            **postgres_environment(stack.database_url),
            "DBT_LOG_PATH": str(site.dbt),
            "DBT_TARGET_PATH": str(site.dbt),
        }
        dbt = [sys.executable, "-m", "dbt.cli.main", "--debug"]
        port = database["PGPORT"]
        unreachable = stack.database_url.replace(f":{port}/", ":1/")
        spoilt = stack.database_url.replace(f":{port}/", ":x/")
        worked = [
            site.firstclick("status"),
            site.firstclick("status", "--json"),
            site.firstclick("expire", "--dry-run"),
            site.firstclick("generate", "--duration", "0", "--backfill", "0.02"),
            site.firstclick("verify"),
            site.firstclick("up", "--detach"),
        ]
        # In parallel, because some of them retry for seconds
        fail = [
            partial(site.run, [*dbt, "show", "--inline", "select nothing"], database),
            partial(site.run, [*dbt, "debug"], database | {"PGPORT": "1"}),
            partial(site.firstclick, "expire", DATABASE_URL=unreachable),
            partial(
                site.firstclick, "generate", **kafka | {"KAFKA_SASL_PASSWORD": "x"}
            ),
            partial(site.firstclick, "backup", str(scratch / "backup")),
            *(
                partial(
                    site.firstclick,
                    *("up", "--detach", "--servers-only"),
                    FIRSTCLICK_HOME=str(make_home()),
                    DATABASE_URL=url,
                    **kafka,
                )
                for url in (unreachable, spoilt)
            ),
        ]
        with ThreadPoolExecutor() as pool:
            failed = [running.result() for running in map(pool.submit, fail)]
        assert {done.returncode for done in worked} == {0}, site.said
        assert 0 not in {done.returncode for done in failed}, site.said
        for name in ("connector", "publisher"):
            worker = Worker(name, kafka | {"DATABASE_URL": unreachable}, scratch / name)
            worker.says("trying again")
            worker.kill()
            site.said[name] = worker.log
    yield site
    stacks.down(site.home)


def test_passwords_are_in_their_files_alone(site: Site) -> None:
    passwords = site.secrets()
    assert passwords.keys() == {
        *("the key", "postgres", "superuser", "kafka", "node", "live"),
        *("grafana", "page", "connector", "publisher", "expire"),
    }
    written_by_dbt = [file for file in site.dbt.rglob("*") if file.is_file()]
    assert site.dbt / "dbt.log" in written_by_dbt
    found = {
        f"{name}'s in {file}"
        for file in (*site.files(), *written_by_dbt)
        if not any(file.match(keeper) for keeper in KEEPERS)
        for name, password in passwords.items()
        if password.encode() in file.read_bytes()
    }
    assert not found


def test_passwords_are_in_nothing_that_is_printed_and_on_no_command_line(
    site: Site,
) -> None:
    assert "firstclick.workers.connector" in site.said["ps"]
    passwords = site.secrets()
    # `up` prints the address of the live page with its password
    told = passwords.pop("live")
    found = {
        f"{name}'s in what {what} printed: {text}"
        for what, text in site.said.items()
        for name, password in passwords.items()
        if password in text
    }
    assert not found
    assert {what for what, text in site.said.items() if told in text} == {
        what for what in site.said if "'up'" in what and "servers-only" not in what
    }


def test_what_a_home_holds_is_closed_to_others(site: Site) -> None:
    # PostgreSQL's user must be able to read these
    shared = ("postgres", "postgresql.conf", "pg_hba.conf")
    open_ = {
        str(file.relative_to(site.home))
        for file in site.files()
        if stat.S_IMODE(file.stat().st_mode) & 0o077
        and not file.relative_to(site.home).parts[0].startswith(shared)
    }
    assert not open_
    for keeper in KEEPERS:
        for file in site.home.glob(keeper):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.fixture(scope="module")
def other_authority(make_home: Callable[[], Path]) -> str:
    """Return a certificate authority that signed other servers' certificates."""
    return str(generated(Home.open(make_home())).authority)


def test_an_event_goes_all_the_way_encrypted(site: Site) -> None:
    pipeline = Harness(site.stack)
    try:
        ((user, product, now),) = pipeline.query(
            "select (select min(user_id) from users),"
            " (select min(product_id) from products), now()"
        )
        clicked = click("encrypted", user, now)
        bought = purchase("encrypted", user, product, now)
        for message in (clicked, bought):
            pipeline.send(message.topic, message.key, message.value)
        pipeline.settle()
        published = json.loads(pipeline.published()["encrypted"])
        assert published["user_id"] == user
        (session,) = pipeline.query(
            "select version from pg_stat_ssl where pid = pg_backend_pid()"
        )
        assert session == ("TLSv1.3",)
    finally:
        pipeline.close()


LACKING: list[tuple[dict[str, str | None], str]] = [
    ({"protocol": "PLAINTEXT"}, ""),
    ({"protocol": "SASL_PLAINTEXT"}, ""),
    ({"protocol": "SSL"}, ""),
    ({"ca": None}, "certificate verify failed"),
    ({"ca": "other"}, "certificate verify failed"),
    ({"password": "guess"}, "invalid credentials"),
    ({"username": "node"}, "invalid credentials"),
    ({"mechanism": "PLAIN"}, "Invalid username or password"),
]


def test_kafka_refuses_a_client_that_lacks_something(
    site: Site, other_authority: str
) -> None:
    def refusal(security: dict[str, str | None]) -> str:
        given = msgspec.structs.asdict(site.stack.kafka.security) | security
        if given["ca"] == "other":
            given["ca"] = other_authority
        admin = Admin(Cluster(site.stack.bootstrap_servers, Security(**given)))
        with pytest.raises(KafkaException) as raised:
            admin.client.list_topics(timeout=5)
        return admin.reason(raised.value)

    # In parallel, because each retries until its timeout
    with ThreadPoolExecutor(len(LACKING)) as pool:
        refusals = pool.map(refusal, [security for security, _ in LACKING])
        for (security, why), told in zip(LACKING, refusals, strict=True):
            assert why in told, security


def test_postgres_refuses_a_client_that_lacks_something(
    site: Site, other_authority: str
) -> None:
    for wrong, why in (
        ({"sslmode": "disable"}, "no encryption"),
        ({"sslrootcert": "/nowhere"}, "does not exist"),
        ({"sslrootcert": other_authority}, "certificate verify failed"),
        ({"password": "guess"}, "password authentication failed"),
    ):
        with pytest.raises(psycopg.OperationalError, match=why):
            psycopg.connect(site.stack.database_url, **wrong)


def test_the_controller_is_encrypted_too(site: Site) -> None:
    layout = Home(site.home).read(Layout, "home.json")
    assert layout is not None
    context = ssl.create_default_context(cafile=site.home / "tls" / "ca.pem")
    for name in ("kafka", "kafka_controller"):
        address = ("127.0.0.1", layout.ports[name])
        with (
            socket.create_connection(address) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted,
        ):
            assert encrypted.version() == "TLSv1.3"


def test_what_is_wrong_is_said_in_one_line(
    site: Site, make_home: Callable[[], Path]
) -> None:
    stack = site.stack
    given = stack.kafka.environment() | {"DATABASE_URL": stack.database_url}

    def said(wrong: dict[str, str]) -> str:
        variables = given | wrong | {"FIRSTCLICK_HOME": str(make_home())}
        done = site.firstclick("up", "--servers-only", "--detach", **variables)
        assert done.returncode == 1
        return done.stdout

    wrongs = (
        ({"KAFKA_SASL_PASSWORD": "guess"}, "invalid credentials"),
        ({"KAFKA_SASL_PASSWORD": ""}, "KAFKA_SASL_PASSWORD is not set"),
        ({"KAFKA_SSL_CA": ""}, "certificate verify failed"),
        ({"KAFKA_SSL_CA": "/nowhere"}, "expected PEM, or a file of it"),
    )
    with ThreadPoolExecutor() as pool:
        texts = pool.map(said, [wrong for wrong, _ in wrongs])
        for (_, why), text in zip(wrongs, texts, strict=True):
            (complaint,) = re.findall("^firstclick: .*", text, re.MULTILINE)
            assert why in complaint and text.endswith(f"{complaint}\n")


def test_programs_without_tls_are_told(make_home: Callable[[], Path]) -> None:
    settings = Settings.load().model_copy(update={"home": make_home(), "tls": True})
    with pytest.raises(FirstClickError, match="was built without TLS"):
        stacks.start(settings, detach=False, servers_only=True)
