"""What is missing is said in one line, before anything is made."""

import pytest

from conformance.deployment import deployed
from firstclick.core.errors import FirstClickError, ServerError, SettingsError
from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings

# Of these ports nobody listens
NOWHERE = "127.0.0.1:1"


def error_of(**settings: str | None) -> FirstClickError:
    with (
        pytest.raises(FirstClickError) as caught,
        deployed(Settings.load().model_copy(update=settings)),
    ):
        pass
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("target", ["materialize", "risingwave"])
def test_another_engine_must_be_named(target: str) -> None:
    error = error_of(target=target)
    assert isinstance(error, SettingsError)
    assert "DATABASE_URL" in str(error)


def test_a_database_that_does_not_answer_is_named() -> None:
    error = error_of(
        database_url=f"postgresql://nobody@{NOWHERE}/none",
        kafka_bootstrap_servers=NOWHERE,
    )
    assert isinstance(error, ServerError)
    assert "DATABASE_URL" in str(error)


def test_a_kafka_that_does_not_answer_is_named(servers: Pipeline) -> None:
    error = error_of(database_url=servers.database_url, kafka_bootstrap_servers=NOWHERE)
    assert isinstance(error, ServerError)
    assert "KAFKA_BOOTSTRAP_SERVERS" in str(error)
