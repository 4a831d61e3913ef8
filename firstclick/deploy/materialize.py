"""Blue/green deployment on Materialize.

The new models are built in a schema and on clusters of their own, verified against
Kafka's messages, and swapped with the old ones in one transaction. Sources, reference
data and the sink are not touched.
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import psycopg

from firstclick.core.database import connect
from firstclick.core.errors import ServerError, SettingsError
from firstclick.deploy.models import Models

_CLUSTERS = {
    "FIRSTCLICK_SOURCES_CLUSTER": "quickstart",
    "FIRSTCLICK_COMPUTE_CLUSTER": "quickstart",
    "FIRSTCLICK_SERVING_CLUSTER": "quickstart",
}
"""The clusters by environment variable, with the defaults of
macros/operations/clusters.sql.
"""


LAG = "5s"
"""How far the new models may lag when they take over.

The first query after the swap waits this long. dbt-materialize's default of one second
may never be reached on a small machine that runs the old and the new models at once.
"""


@dataclass(frozen=True)
class Materialize:
    """One deployment. ``say`` gets a line for each step."""

    models: Models
    say: Callable[[str], None]
    clusters: list[str]

    @classmethod
    def of(cls, models: Models, say: Callable[[str], None]) -> Self:
        """Make a deployment on the clusters that the environment names.

        Raises SettingsError if these clusters can't be swapped.
        """
        names = {
            name: os.environ.get(name) or value for name, value in _CLUSTERS.items()
        }
        for name, cluster in names.items():
            if not re.fullmatch(r"[a-z_][a-z0-9_]*", cluster):
                raise SettingsError(
                    f"{name} is {cluster!r}, expected lower-case letters, digits and "
                    "_: correct it"
                )
        apart = names.pop("FIRSTCLICK_SOURCES_CLUSTER")
        clusters = list(dict.fromkeys(names.values()))
        if apart in clusters:
            raise SettingsError(
                f"sources and models are on the same cluster, {apart}; a deployment "
                "swaps the models' clusters: set FIRSTCLICK_COMPUTE_CLUSTER and "
                "FIRSTCLICK_SERVING_CLUSTER to others, and run `dbt run "
                "--full-refresh` once"
            )
        return cls(models, say, clusters)

    def run(self) -> None:
        """Deploy the models; swap them in only if they are correct.

        Until then, readers see the old models. Raises FirstClickError.
        """
        schema = self.models.settings.schema_name
        if not self._is_deployed():
            self.say("Nothing is deployed yet: building everything")
            self.models.build()
            return
        # Remove what an interrupted deployment left. The sink first, because it may
        # still read a relation that the cleanup drops.
        self._operate("redirect_sink")
        self._operate("deploy_cleanup")
        self.say(f"Building beside {schema}")
        self._operate("deploy_init")
        self.models.build_beside(
            *("--exclude", "config.materialized:kafka_table"), **self._variables()
        )
        self.say("Waiting until it has caught up")
        self._operate("deploy_await", poll_interval=2, lag_threshold=LAG)
        self.say("Comparing it with what Kafka's messages say")
        self.models.check()
        self._operate("deploy_promote")
        self.say(f"It is {schema} now")
        self._operate("redirect_sink")
        self._operate("deploy_cleanup")

    def _is_deployed(self) -> bool:
        """Return whether a deployment has completed.

        The sink tells: of the objects that a swap needs, it is created last. If a first
        deployment failed earlier, everything is built again.
        """
        try:
            with connect(
                self.models.database_url, target="materialize", autocommit=True
            ) as connection:
                [(count,)] = connection.execute(
                    "select count(*) from mz_catalog.mz_objects as objects"
                    " inner join mz_catalog.mz_schemas as schemas"
                    " on objects.schema_id = schemas.id"
                    " where objects.type = 'sink' and objects.name = 'checkouts'"
                    " and schemas.name = %s",
                    [f"{self.models.settings.schema_name}_sinks"],
                ).fetchall()
        except psycopg.Error as error:
            raise ServerError(
                f"Materialize does not answer: {' '.join(str(error).split())}; "
                "expected it at DATABASE_URL"
            ) from error
        return bool(count)

    def _operate(self, macro: str, **arguments: object) -> None:
        self.models.dbt(
            *("run-operation", macro, "--args", json.dumps(arguments)),
            **self._variables(),
        )

    def _variables(self) -> dict[str, object]:
        schemas = [self.models.settings.schema_name]
        deployment = {"schemas": schemas, "clusters": self.clusters}
        return {"deployment": {"materialize": deployment}}
