"""No generated password is anywhere but in its file, whatever goes well or wrong."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from worker_world import Worker

from firstclick import stack as stacks
from firstclick.deploy import PROJECT, postgres_environment
from firstclick.settings import Settings

pytestmark = pytest.mark.timeout(300)

KEEPERS = ("*.password", "state.json")
"""The files of a home that hold passwords, all of mode 0600."""

DATA = ("kafka/data", "postgres/data/base", "postgres/data/pg_wal")


@dataclass
class Site:
    """A stack that was started from the command line, and all that it said."""

    home: Path
    dbt: Path
    """Where dbt writes when it is run by hand."""
    said: dict[str, str] = field(default_factory=dict)
    """What was printed, by command, and the command lines of all processes."""

    def firstclick(self, *arguments: str, **variables: str) -> int:
        return self.run(
            [str(Path(sys.executable).with_name("firstclick")), *arguments],
            {"FIRSTCLICK_HOME": str(self.home), "FIRSTCLICK_LIVE_HOST": "0.0.0.0"}
            | variables,
        )

    def run(self, command: list[str], variables: Mapping[str, str]) -> int:
        done = subprocess.run(
            command,
            env={**os.environ, **variables},
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said[f"{len(self.said)} {command[1:]}"] = done.stdout
        return done.returncode

    def passwords(self) -> dict[str, str]:
        return {file.stem: file.read_text() for file in self.home.glob("*.password")}

    def files(self) -> Iterator[Path]:
        """Those of the home that are written for people and for ourselves."""
        for directory, _, names in os.walk(self.home):
            within = Path(directory).relative_to(self.home)
            if not any(within.is_relative_to(data) for data in DATA):
                yield from (Path(directory) / name for name in names)


@contextmanager
def watched(site: Site) -> Iterator[None]:
    """Notes the command line of each process that is seen meanwhile."""
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            for process in psutil.process_iter():
                with suppress(psutil.Error):
                    seen.add(" ".join(process.cmdline()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        site.said["ps"] = "\n".join(seen)


@pytest.fixture(scope="module")
def site(
    make_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """One at which everything was done, some of it wrong."""
    scratch = tmp_path_factory.mktemp("scratch")
    site = Site(make_home(), scratch / "dbt")
    elsewhere = make_home()
    with watched(site):
        assert site.firstclick("up", "--detach") == 0, site.said
        stack = stacks.running(Settings.load().model_copy(update={"home": site.home}))
        database = {
            **postgres_environment(stack.database_url),
            "DBT_LOG_PATH": str(site.dbt),
            "DBT_TARGET_PATH": str(site.dbt),
        }
        dbt = [sys.executable, "-m", "dbt.cli.main", "--debug"]
        port = database["PGPORT"]
        unreachable = stack.database_url.replace(f":{port}/", ":1/")
        spoilt = stack.database_url.replace(f":{port}/", ":x/")
        backup = str(scratch / "backup")
        worked = [
            site.firstclick("status"),
            site.firstclick("status", "--json"),
            site.firstclick("expire", "--dry-run"),
            site.firstclick("backup", backup),
            site.firstclick("up", "--detach"),
        ]
        failed = [
            site.run([*dbt, "show", "--inline", "select nothing"], database),
            site.run([*dbt, "debug"], database | {"PGPORT": "1"}),
            site.firstclick("expire", DATABASE_URL=unreachable),
            *(
                site.firstclick(
                    *("up", "--detach", "--servers-only"),
                    FIRSTCLICK_HOME=str(elsewhere),
                    DATABASE_URL=url,
                    KAFKA_BOOTSTRAP_SERVERS=stack.bootstrap_servers,
                )
                for url in (unreachable, spoilt)
            ),
        ]
        assert (set(worked), 0 in failed) == ({0}, False), site.said
        for name in ("connector", "publisher"):
            variables = {
                "DATABASE_URL": unreachable,
                "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
            }
            worker = Worker(name, variables, scratch / name)
            worker.says("trying again")
            worker.kill()
            site.said[name] = worker.log
    yield site
    stacks.down(site.home)


def test_passwords_are_in_their_files_alone(site: Site) -> None:
    passwords = site.passwords()
    assert passwords.keys() == {
        *("postgres", "superuser", "live"),
        *("grafana", "connector", "publisher", "expire"),
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
    assert "firstclick.connector" in site.said["ps"]
    passwords = site.passwords()
    # Whoever starts it is told where the live page lets them in
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
    # Those that PostgreSQL's own user has to read
    shared = ("postgres", "postgresql.conf")
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
