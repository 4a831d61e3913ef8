"""Blue/green deployment on Materialize, as one command that may be run again.

The models are built anew in a schema and on clusters beside those that are read,
compared with what Kafka's messages say, and put in their place in one transaction.
Sources, reference data and the sink stay where they are.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from firstclick.deploy import PROJECT, complaint, postgres_environment
from firstclick.errors import DeploymentError, ServerError, SettingsError
from firstclick.settings import Settings
from firstclick.verify import verify

SUFFIX = "_dbt_deploy"
"""What dbt-materialize appends to the names of a deployment's schema and clusters."""

SAMPLE = 300
"""Messages of each topic to try by the rules before the new models are put in place."""

_CLUSTERS = {
    "FIRSTCLICK_SOURCES_CLUSTER": "quickstart",
    "FIRSTCLICK_COMPUTE_CLUSTER": "quickstart",
    "FIRSTCLICK_SERVING_CLUSTER": "quickstart",
}
"""As macros/materialize/places.sql has them."""


@dataclass(frozen=True)
class Rollout:
    """One deployment. ``say`` gets a line for each step."""

    settings: Settings
    database_url: str
    clusters: list[str]
    say: Callable[[str], None]

    def run(self) -> None:
        """Deploy the models. Raises FirstClickError; what is read stays as it was
        until the new models have been found right."""
        if not self._is_deployed():
            self.say("Nothing is deployed yet: building everything")
            self._dbt("build", "--exclude-resource-type", "test", "unit_test")
            return
        # What an interrupted one left: the sink may yet read what is to be dropped
        self._operate("redirect_sink")
        self._operate("deploy_cleanup")
        self.say(f"Building beside {self.settings.schema_name}")
        self._operate("deploy_init")
        self._dbt("run", "--exclude", "config.materialized:kafka_table", deploy=True)
        self.say("Waiting until it has caught up")
        self._operate("deploy_await", poll_interval=2)
        self.say("Comparing it with what Kafka's messages say")
        self._check()
        self._operate("deploy_promote")
        self.say(f"It is {self.settings.schema_name} now")
        self._operate("redirect_sink")
        self._operate("deploy_cleanup")

    def _check(self) -> None:
        schema = self.settings.schema_name + SUFFIX
        found = verify(
            self.settings.model_copy(update={"schema_name": schema}), sample=SAMPLE
        )
        if not found.equal:
            differing = [f.relation for f in found.sampled if f.differing]
            raise DeploymentError(
                f"the new models differ from what Kafka's messages say, in "
                f"{', '.join(differing)}; expected them equal: nothing was put in "
                f"place, see schema {schema}, correct the models and deploy again"
            )

    def _is_deployed(self) -> bool:
        try:
            with psycopg.connect(
                self.database_url, autocommit=True, connect_timeout=10
            ) as connection:
                [(count,)] = connection.execute(
                    "select count(*) from mz_catalog.mz_objects as objects"
                    " inner join mz_catalog.mz_schemas as schemas"
                    " on objects.schema_id = schemas.id"
                    " where schemas.name = %s and objects.name = 'checkouts_topic'",
                    [self.settings.schema_name],
                ).fetchall()
        except psycopg.Error as error:
            raise ServerError(
                f"Materialize does not answer: {' '.join(str(error).split())}; "
                "expected it at DATABASE_URL"
            ) from error
        return bool(count)

    def _operate(self, macro: str, **arguments: object) -> None:
        self._dbt("run-operation", macro, "--args", json.dumps(arguments))

    def _dbt(self, *arguments: str, deploy: bool = False) -> None:
        deployment = {
            "schemas": [self.settings.schema_name],
            "clusters": self.clusters,
        }
        variables: dict[str, object] = {"deployment": {"materialize": deployment}}
        if deploy:
            variables["deploy"] = True
        done = subprocess.run(
            [
                *(sys.executable, "-m", "dbt.cli.main", "--no-use-colors"),
                *arguments,
                *("--target", "materialize", "--vars", json.dumps(variables)),
                *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
            ],
            cwd=PROJECT,
            env={
                **os.environ,
                **self.settings.environment(),
                **postgres_environment(self.database_url),
                "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DeploymentError(
                f"dbt {' '.join(arguments[:2])} failed: "
                f"{complaint(done.stdout.splitlines())}; what is read is as it was: "
                "correct it and deploy again"
            )


def deploy(settings: Settings, say: Callable[[str], None]) -> None:
    """Deploy the models beside those that are read, and put them in their place.

    Raises FirstClickError.
    """
    if settings.target != "materialize":
        raise SettingsError(
            f"FIRSTCLICK_TARGET is {settings.target!r}, expected 'materialize': the "
            "embedded engine's models are deployed by `firstclick up` or `dbt run`"
        )
    if settings.database_url is None:
        raise SettingsError(
            "DATABASE_URL is not set, expected it with FIRSTCLICK_TARGET=materialize: "
            "set it to where Materialize runs"
        )
    names = {name: os.environ.get(name) or value for name, value in _CLUSTERS.items()}
    for name, cluster in names.items():
        if not re.fullmatch(r"[a-z_][a-z0-9_]*", cluster):
            raise SettingsError(
                f"{name} is {cluster!r}, expected lower-case letters, digits and _: "
                "correct it"
            )
    apart = names.pop("FIRSTCLICK_SOURCES_CLUSTER")
    clusters = list(dict.fromkeys(names.values()))
    if apart in clusters:
        raise SettingsError(
            f"sources and models are on the same cluster, {apart}; a deployment swaps "
            "the models' clusters: set FIRSTCLICK_COMPUTE_CLUSTER and "
            "FIRSTCLICK_SERVING_CLUSTER to others, and run `dbt run --full-refresh` "
            "once"
        )
    Rollout(settings, settings.database_url, clusters, say).run()
