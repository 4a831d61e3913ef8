"""The pipeline works the same whatever the shell's environment holds."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from firstclick.core.environment import child_environment
from firstclick.operate import stack as stacks
from worker_world import eventually

COMMAND = [sys.executable, "-c", "from firstclick.cli import main; main()"]

PROXY = "http://127.0.0.1:9"

HOSTILE = {
    **{name: PROXY for name in ("http_proxy", "https_proxy", "all_proxy")},
    **{name: PROXY for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")},
    "PGHOST": "nowhere.invalid",
    "PGHOSTADDR": "127.0.0.9",
    "PGPORT": "1",
    "PGUSER": "nobody",
    "PGPASSWORD": "wrong",
    "PGDATABASE": "nothing",
    "PGPASSFILE": "/dev/null",
    "PGSERVICE": "nowhere",
    "PGSERVICEFILE": "/dev/null",
    "PGOPTIONS": "-c default_transaction_read_only=on -c nonsense=1",
    "PGCLIENTENCODING": "LATIN1",
    "PGDATESTYLE": "German",
    "PGTZ": "America/Los_Angeles",
    "PGTARGETSESSIONATTRS": "standby",
    "PGREQUIREAUTH": "none",
    "PGCHANNELBINDING": "require",
    "PGGSSENCMODE": "require",
    "PGSSLMODE": "verify-full",
    "PGSSLNEGOTIATION": "direct",
    "PGSSLROOTCERT": "/dev/null",
    "PGCONNECT_TIMEOUT": "nonsense",
    "PGAPPNAME": "another",
    "DBT_PROFILE": "another",
    "DBT_PROFILES_DIR": "/nonexistent",
    "DBT_PROJECT_DIR": "/nonexistent",
    "DBT_TARGET": "another",
    "DBT_DEFER": "true",
    "DBT_STATE": "/nonexistent",
    "DBT_FULL_REFRESH": "true",
    "DBT_EMPTY": "true",
    "DBT_SAMPLE": "1 day",
    "DBT_FAIL_FAST": "true",
    "DBT_WARN_ERROR": "true",
    "DBT_STATIC_PARSER": "nonsense",
    "DBT_VARS": "{attribution_window: 1 second}",
    "DBT_SELECT": "nothing",
    "DBT_EXCLUDE": "checkouts",
    "DBT_LOG_FORMAT": "json",
    "DBT_QUIET": "true",
    "DBT_ENGINE_EMPTY": "true",
    "PYTHONSTARTUP": "/nonexistent",
    "PYTHONWARNINGS": "ignore",
    "PYTHONIOENCODING": "ascii",
    "PYTHONINSPECT": "",
    "JAVA_TOOL_OPTIONS": "-Xmx1m",
    "JDK_JAVA_OPTIONS": "-Xmx1m",
    "JAVA_HOME": "/nonexistent",
    "KAFKA_OPTS": "-Xmx1m",
    "KAFKA_HEAP_OPTS": "-Xmx1m",
    "KAFKA_LOG4J_OPTS": "-Xmx1m",
    "CLASSPATH": "/nonexistent",
    "LC_ALL": "de_DE.ISO-8859-1",
    "LANG": "de_DE.ISO-8859-1",
    "LC_MESSAGES": "de_DE.ISO-8859-1",
    "TZ": "America/Los_Angeles",
    "TMPDIR": "/nonexistent",
    "TERM": "unheard-of",
}


@dataclass(frozen=True)
class Shell:
    """A shell with a hostile environment that calls the command line."""

    home: Path
    environment: dict[str, str]

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment,
            cwd="/",
            capture_output=True,
            text=True,
            encoding="latin-1",
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def shell(
    make_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shell]:
    home, shadows = make_home(), tmp_path_factory.mktemp("shadows")
    # PYTHONPATH shadows these modules, which the command line itself doesn't import
    for name in ("dbt", "starlette", "uvicorn"):
        (shadows / f"{name}.py").write_text("raise ImportError('a shadow')\n")
    yield Shell(
        home,
        {
            **os.environ,
            **HOSTILE,
            "PYTHONPATH": str(shadows),
            "FIRSTCLICK_HOME": str(home),
        },
    )
    stacks.down(home)


def test_everything_works_whatever_the_shell_has(shell: Shell, tmp_path: Path) -> None:
    shell.run("up", "--detach")
    shell.run("generate", "--rate", "100", "--duration", "2")

    def applied() -> bool:
        found = json.loads(shell.run("status", "--json"))
        return bool(
            found["partitions"]
            and all(partition["lag"] == 0 for partition in found["partitions"])
            and all(topic["accepted"] for topic in found["topics"])
        )

    eventually(applied, "everything that was sent is in the tables")
    assert shell.run("status").startswith("healthy")
    assert json.loads(shell.run("verify", "--json"))["equal"]
    assert "firstclick" in shell.run("psql", "-Atc", "select current_database()")
    file = tmp_path / "backup"
    shell.run("backup", str(file))
    shell.run("logs")
    shell.run("expire", "--dry-run")
    shell.run("down")
    # Nothing has changed, so `up` deploys nothing
    assert "Models up to date" in shell.run("up", "--detach")
    shell.run("down")


def test_the_demo_works_whatever_the_shell_has(shell: Shell) -> None:
    assert "events" in shell.run("demo", "--duration", "5", "--rate", "100")


def test_a_process_has_what_it_needs_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DBT_ENV_SECRET_KAFKA", "secret")
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ssl/authorities.pem")
    got = child_environment({"DATABASE_URL": "postgresql://here"})
    assert got.keys() & HOSTILE.keys() <= {"LANG", "TMPDIR"}
    assert got["LANG"] == "C.UTF-8"
    assert got["DATABASE_URL"] == "postgresql://here"
    assert got["SSL_CERT_FILE"] == "/etc/ssl/authorities.pem"
    assert got["PATH"] == os.environ["PATH"]
    assert "DBT_ENV_SECRET_KAFKA" not in got
    also = child_environment({}, also=("DBT_ENV_", "https_proxy"))
    assert also["DBT_ENV_SECRET_KAFKA"] == "secret"
    assert also["https_proxy"] == PROXY
    assert "http_proxy" not in also
