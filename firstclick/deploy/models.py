"""Run dbt on a streaming engine, and build a next version in a schema of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from firstclick.core.database import session_environment
from firstclick.core.environment import MODELS, child_environment
from firstclick.core.errors import DeploymentError
from firstclick.core.home import Home
from firstclick.core.settings import Settings
from firstclick.deploy.embedded import complaint
from firstclick.servers.topics import create_topics
from firstclick.verify import verify

SUFFIX = "_dbt_deploy"
"""The suffix of the schema and clusters in which a next version is built.

dbt-materialize appends it, and so does macros/operations/generate_schema_name.sql on
both engines.
"""

SEEDS = (
    *("build", "--select", "resource_type:seed"),
    # Otherwise dbt would also run tests that compare a seed with relations that don't
    # exist yet
    *("--indirect-selection", "cautious"),
)
"""The arguments of dbt for the first step of a first deployment."""

SOURCES = ("--select", "config.materialized:kafka_table")
"""The arguments of dbt that select the sources, the second step."""

SAMPLE = 300
"""How many messages of each topic to verify before the new models are swapped in."""


@dataclass(frozen=True)
class Models:
    """The project's models on the engine that the settings name."""

    settings: Settings
    database_url: str

    def build(self) -> None:
        """Build everything on an empty engine. Raises DeploymentError."""
        self.build_sources()
        self.dbt("run")

    def build_sources(self) -> None:
        """Create topics, seeds and sources where they are missing.

        The seeds' tests check the reference data first. Raises DeploymentError and
        ServerError.
        """
        kafka, prefix = self.settings.kafka, self.settings.topic_prefix
        if kafka is not None:
            # Neither engine creates the topics that it reads
            create_topics(
                *(kafka, prefix, self.settings.partitions, None, self.settings.project)
            )
        self.dbt(*SEEDS)
        self.dbt("run", *SOURCES)

    def build_beside(self, *arguments: str, **variables: object) -> None:
        """Build the next version of the models in a schema of its own.

        ``arguments`` exclude models that must not exist twice, such as the sink. Raises
        DeploymentError.
        """
        self.dbt("run", *arguments, deploy=True, **variables)

    def check(self) -> None:
        """Verify the next version against a sample of Kafka's messages.

        Raises DeploymentError if a relation differs from the oracle's.
        """
        schema = self.settings.schema_name + SUFFIX
        found = verify(
            self.settings.model_copy(update={"schema_name": schema}), sample=SAMPLE
        )
        if not found.equal:
            differing = [f.relation for f in found.sampled if f.differing]
            raise DeploymentError(
                # Cause: Your edit computes something other than the rules.
                # Remedy: Compare with the relations in the schema that the message
                #   names. Readers still see the old models.
                f"the new models differ from what Kafka's messages say, in "
                f"{', '.join(differing)}; expected them equal: nothing was put in "
                f"place, see schema {schema}, correct the models and deploy again"
            )

    def dbt(self, *arguments: str, **variables: object) -> None:
        """Run a dbt command. Raises DeploymentError with dbt's first complaint."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "dbt.cli.main", "--no-use-colors"),
                *arguments,
                *("--target", self.settings.target, "--vars", json.dumps(variables)),
                *("--project-dir", str(self.settings.project)),
                *("--profiles-dir", str(self.settings.project)),
            ],
            cwd=self.settings.project,
            env=child_environment(
                {
                    **self.settings.environment(),
                    **session_environment(self.database_url, self.settings.target),
                    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
                    **self._places(),
                },
                also=(*MODELS, "FIRSTCLICK_"),
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DeploymentError(
                # Cause: dbt refused the new models. Readers still see the old ones.
                # Remedy: Correct them, then deploy again.
                f"dbt {' '.join(arguments[:2])} failed: "
                f"{complaint(done.stdout.splitlines())}; what is read is as it was: "
                "correct it and deploy again"
            )

    def _places(self) -> dict[str, str]:
        """Return the variables that say where dbt may write.

        They are those of the shell, or else directories in the home: the project may be
        part of an installed package, which may be read-only.
        """
        names = ("DBT_LOG_PATH", "DBT_TARGET_PATH")
        said = {name: os.environ[name] for name in names if name in os.environ}
        if len(said) == len(names):
            return said
        home = Home.open(self.settings.home)
        with home.errors():
            (home.path / "dbt").mkdir(mode=0o700, exist_ok=True)
        ours = {
            "DBT_LOG_PATH": str(home.logs),
            "DBT_TARGET_PATH": str(home.path / "dbt"),
        }
        return {**ours, **said}
