"""dbt on a streaming engine, and the schema where a next version is built."""

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
"""What dbt-materialize appends to the names of a deployment's schema and clusters, and
macros/operations/generate_schema_name.sql on either engine."""

SEEDS = (
    *("build", "--select", "resource_type:seed"),
    # Else also tests of relations that are built later, which look at a seed too
    *("--indirect-selection", "cautious"),
)
"""The first step of a first deployment, as dbt's arguments."""

SOURCES = ("--select", "config.materialized:kafka_table")
"""What dbt runs next."""

SAMPLE = 300
"""Messages of each topic to try by the rules before the new models are put in place."""


@dataclass(frozen=True)
class Models:
    """The project's models on the engine that the settings name."""

    settings: Settings
    database_url: str

    def build(self) -> None:
        """Build everything where nothing is deployed. Raises DeploymentError."""
        self.build_sources()
        self.dbt("run")

    def build_sources(self) -> None:
        """Build what the models read, where it is missing, if the reference data is
        within its bounds. Raises DeploymentError, ServerError."""
        kafka, prefix = self.settings.kafka, self.settings.topic_prefix
        if kafka is not None:
            # Neither engine makes the topics that it reads
            create_topics(
                *(kafka, prefix, self.settings.partitions, None, self.settings.project)
            )
        self.dbt(*SEEDS)
        self.dbt("run", *SOURCES)

    def build_beside(self, *arguments: str, **variables: object) -> None:
        """Build the models' next version in a schema of its own; ``arguments`` leave
        out what is not to be built twice. Raises DeploymentError."""
        self.dbt("run", *arguments, deploy=True, **variables)

    def check(self) -> None:
        """Raise DeploymentError where the next version differs from what Kafka's
        messages say."""
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
        """Run a command of dbt. Raises DeploymentError with its first complaint."""
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
        """Say where dbt may write: as the shell has it, else in the home. An installed
        project may be read-only."""
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
