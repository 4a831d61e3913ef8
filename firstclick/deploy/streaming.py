"""The command `firstclick deploy`."""

from collections.abc import Callable
from importlib.util import find_spec

from firstclick.core.errors import SettingsError
from firstclick.core.pipeline import named
from firstclick.core.settings import Settings
from firstclick.deploy.materialize import Materialize
from firstclick.deploy.models import Models
from firstclick.deploy.risingwave import RisingWave


def deploy(settings: Settings, say: Callable[[str], None]) -> None:
    """Build a new version of the models beside the old one, and swap it in.

    The first deployment also creates topics that are missing. ``say`` gets a line for
    each step. Raises FirstClickError.
    """
    if settings.target == "embedded":
        raise SettingsError(
            "FIRSTCLICK_TARGET is 'embedded', expected 'materialize' or 'risingwave': "
            "the embedded engine's models are deployed by `firstclick up` or `dbt run`"
        )
    _require_adapter(settings.target)
    url, kafka = settings.database_url, settings.kafka
    if url is None or kafka is None:
        raise SettingsError(
            "DATABASE_URL or KAFKA_BOOTSTRAP_SERVERS is not set, expected both with "
            f"FIRSTCLICK_TARGET={settings.target}: set them to where it and its Kafka "
            "run"
        )
    models = Models(settings, url)
    if settings.target == "materialize":
        Materialize.of(models, say).run()
    else:
        RisingWave(models, say, named(settings)).run()


def _require_adapter(target: str) -> None:
    if find_spec(f"dbt.adapters.{target}") is None:
        raise SettingsError(
            f"FIRSTCLICK_TARGET is {target!r}, expected dbt-{target} to be installed "
            f"with it: run `pip install 'firstclick[{target}]'`"
        )
