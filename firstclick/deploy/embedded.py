"""Deploy the models on the embedded engine: run dbt if something changed."""

import hashlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from firstclick.core.database import connect, session_environment
from firstclick.core.environment import MODELS, child_environment
from firstclick.core.errors import DeploymentError
from firstclick.core.home import Home
from firstclick.core.processes import Command
from firstclick.core.project import PROJECT
from firstclick.verify.triggers import trigger_problems

_PARTS = ("dbt_project.yml", "profiles.yml", "models", "macros", "seeds")
"""The files and folders whose contents decide whether dbt runs again."""
_LOG = "dbt.log"

_MODEL = re.compile(
    r"\d\d:\d\d:\d\d +Model (?P<name>\w+) (?P<outcome>begun|created|updated|rebuilt)$"
)
"""Matches the line that dbt prints when it begins or ends a model."""


class Deployment(msgspec.Struct, frozen=True):
    """deployment.json: the deployed project, and the relations that this made."""

    project: str
    """A digest of the project's files and of the settings that matter to dbt."""
    database: str
    """The server's address and the database's name and oid."""
    relations: dict[str, int]
    """Name to oid. A relation that somebody dropped is missing from the database; one
    that was dropped and created again has another oid.
    """


@dataclass
class Deployer:
    """One run of dbt, which another thread may stop."""

    home: Home
    database_url: str
    schema_name: str
    topic_prefix: str
    project: Path = PROJECT
    _process: subprocess.Popen[str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: bool = False

    def deploy(
        self,
        as_owner: Sequence[str] = (),
        on_model: Callable[[str, float], None] = lambda text, seconds: None,
    ) -> str:
        """Bring the database up to date; return a message for the user.

        Does nothing if all this is as it was after the last deployment: the project,
        its relations, their triggers, and the workers that have no role and work
        ``as_owner``. Rows that bypassed a trigger, because somebody disabled it, are
        computed again.

        If there was a deployment before, ``on_model`` gets each model that changed with
        its outcome, for example ``checkouts rebuilt``, and the seconds that it took.

        Raises DeploymentError with dbt's first complaint and the path of its log.
        Nothing was changed then.
        """
        project = self._fingerprint(as_owner)
        deployed = self.home.read(Deployment, "deployment.json")
        problems = self._trigger_problems()
        if (
            deployed is not None
            and deployed == self._deployment(project)
            and not problems
        ):
            return f"Models up to date: {len(deployed.relations)} relations"
        self._run(on_model if deployed is not None else None)
        deployed = self._deployment(project)
        self.home.write(deployed, "deployment.json")
        found = f", with what passed triggers by; {problems[0]}" if problems else ""
        return f"Models deployed: {len(deployed.relations)} relations{found}"

    def stop(self) -> None:
        """Stop dbt if it runs, and don't let it start after this."""
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(signal.SIGTERM)

    def _run(self, on_model: Callable[[str, float], None] | None) -> None:
        (self.home.path / "dbt").mkdir(exist_ok=True)
        own = {
            **session_environment(self.database_url),
            "FIRSTCLICK_SCHEMA": self.schema_name,
            "FIRSTCLICK_TOPIC_PREFIX": self.topic_prefix,
            "DBT_TARGET_PATH": str(self.home.path / "dbt"),
            "DBT_LOG_PATH": str(self.home.logs),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        environment = child_environment(own, also=MODELS)
        command = Command(
            [
                *(sys.executable, "-m", "dbt.cli.main"),
                *("--no-use-colors", "build", "--target", "embedded"),
                *("--project-dir", str(self.project)),
                *("--profiles-dir", str(self.project)),
                *("--exclude-resource-type", "test", "unit_test"),
                *("--vars", "single_transaction: true"),
            ],
            environment,
            self.project,
        )
        with self._lock:
            if self._stopped:
                raise DeploymentError("dbt was stopped before it began")
            self._process = subprocess.Popen(
                command.guarded(),
                env=environment,
                cwd=self.project,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        output = []
        begun = time.monotonic()
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                output.append(line)
                model = _MODEL.match(line)
                if model is None:
                    continue
                if model["outcome"] == "begun":
                    begun = time.monotonic()
                elif on_model is not None:
                    on_model(
                        f"{model['name']} {model['outcome']}", time.monotonic() - begun
                    )
        if self._process.wait() != 0:
            raise DeploymentError(
                # Cause: dbt can't deploy a model, a macro or a seed. For a seed the
                #   message names file, line and key, or the stored row that a new check
                #   refuses.
                # Remedy: Correct it; `firstclick logs dbt` has dbt's whole output. To
                #   correct a stored row, run `firstclick up --servers-only --detach`
                #   and use `firstclick psql`.
                f"dbt failed: {complaint(output)}; nothing was changed, see "
                f"{self.home.logs / _LOG}"
            )

    def _fingerprint(self, as_owner: Sequence[str]) -> str:
        settings = (self.schema_name, self.topic_prefix, *as_owner)
        digest = hashlib.sha256("\0".join(settings).encode())
        for part in _PARTS:
            for file in _files(self.project / part):
                digest.update(f"\0{file.relative_to(self.project)}\0".encode())
                digest.update(file.read_bytes())
        return digest.hexdigest()

    def _trigger_problems(self) -> list[str]:
        with self._database() as connection:
            return trigger_problems(connection, self.schema_name)

    def _deployment(self, project: str) -> Deployment:
        with self._database() as connection:
            relations = connection.execute(
                "select relname, pg_class.oid::bigint from pg_class"
                " where relnamespace = to_regnamespace(%s)"
                " and relkind in ('r', 'p', 'v', 'm')",
                [self.schema_name],
            ).fetchall()
            database = connection.execute(
                "select concat_ws('/', inet_server_addr(), inet_server_port(),"
                " datname, oid) from pg_database where datname = current_database()"
            ).fetchone()
        assert database is not None
        return Deployment(project, database[0], dict(relations))

    @contextmanager
    def _database(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            with connect(self.database_url) as connection:
                yield connection
        except psycopg.Error as error:
            raise DeploymentError(
                f"the database can't be read: {' '.join(str(error).split())}"
            ) from error


def _files(part: Path) -> Iterable[Path]:
    if part.is_file():
        return [part]
    return sorted(file for file in part.rglob("*") if file.is_file())


def complaint(lines: list[str]) -> str:
    """Return the first error in dbt's output, else its last line.

    It begins with the model that dbt was working on, if any.
    """
    text = [re.sub(r"^\d\d:\d\d:\d\d\s*", "", line).strip() for line in lines]
    text = [line for line in text if line]
    model = ""
    for number, line in enumerate(text):
        begun = re.match(r"Model (\w+) begun$", line)
        if begun is not None:
            model = f"{begun[1]}: "
        elif line == "Models take their places":
            model = ""
        if re.match(r"(\w+ )?\w*Error\b", line):
            return model + " ".join(
                [*text[number : number + 2], *_causes(text, number)]
            )
        if line.startswith("Encountered an error"):
            said = text[number + 1 : number + 3] or [line]
            return model + " ".join([*said, *_causes(text, number + 1)])
    return text[-1] if text else "no reason given"


def _causes(text: list[str], number: int) -> Iterator[str]:
    """Yield the causes that RisingWave lists for an error, the nearest first."""
    for line in text[number + 2 :]:
        if line.startswith("Caused by"):
            continue
        cause = re.match(r"\d+: (.*)", line)
        if cause is None:
            return
        yield f"({cause[1]})"
