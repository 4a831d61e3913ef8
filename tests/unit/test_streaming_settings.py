"""Commands for streaming engines report missing settings before they do anything."""

from pathlib import Path

import pytest

from firstclick.core.errors import ServerError, SettingsError
from firstclick.core.settings import Settings
from firstclick.deploy import deploy, streaming
from firstclick.deploy.models import Models
from firstclick.deploy.project_files import write_project
from firstclick.operate.repair import require_materialize

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
BROKER = "127.0.0.1:1"
SERVERS = {"database_url": NOWHERE, "kafka_bootstrap_servers": BROKER}


def settings(**values: str) -> Settings:
    return Settings.load().model_copy(update={"target": "materialize", **values})


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMPUTE", "SERVING"):
        monkeypatch.setenv(f"FIRSTCLICK_{name}_CLUSTER", name.lower())


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"target": "embedded"}, "FIRSTCLICK_TARGET"),
        ({"kafka_bootstrap_servers": BROKER}, "DATABASE_URL"),
        ({"database_url": NOWHERE}, "KAFKA_BOOTSTRAP_SERVERS"),
        (SERVERS, "FIRSTCLICK_COMPUTE_CLUSTER"),
    ],
)
def test_what_a_deployment_needs_is_named(values: dict[str, str], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        deploy(settings(**values), print)


def test_a_cluster_is_named_by_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTCLICK_COMPUTE_CLUSTER", "a; drop cluster b")
    with pytest.raises(SettingsError, match="FIRSTCLICK_COMPUTE_CLUSTER"):
        deploy(settings(**SERVERS), print)


@pytest.mark.parametrize("target", ["materialize", "risingwave"])
def test_an_extra_that_is_not_installed_is_named(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=rf"'firstclick\[{target}\]'"):
        deploy(settings(target=target, **SERVERS), print)


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("target", ["materialize", "risingwave"])
def test_an_engine_that_does_not_answer_is_named(target: str) -> None:
    with pytest.raises(ServerError, match="DATABASE_URL"):
        deploy(settings(target=target, **SERVERS), print)


def test_dbt_writes_into_the_home_and_not_into_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DBT_TARGET_PATH", "DBT_LOG_PATH"):
        monkeypatch.delenv(name, raising=False)
    project, home = tmp_path / "project", tmp_path / "home"
    write_project(project)
    before = sorted(project.rglob("*"))
    own = settings(**SERVERS).model_copy(update={"home": home, "project": project})
    Models(own, NOWHERE).dbt("parse")
    assert sorted(project.rglob("*")) == before
    assert (home / "dbt" / "manifest.json").is_file()
    assert (home / "logs" / "dbt.log").is_file()


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"target": "embedded"}, "FIRSTCLICK_TARGET"),
        ({"database_url": NOWHERE}, "KAFKA_BOOTSTRAP_SERVERS"),
    ],
)
def test_what_a_repair_needs_is_named(values: dict[str, str], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        require_materialize(settings(**values))
