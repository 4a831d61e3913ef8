"""Settings come from the environment; a wrong one is an error in one line."""

import os
from pathlib import Path

import pytest

from firstclick.core.cluster import Cluster, Security
from firstclick.core.errors import SettingsError
from firstclick.core.settings import ROOT_HOME, Settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)


def test_without_variables_the_defaults_hold() -> None:
    settings = Settings.load()
    assert settings.database_url is None
    assert settings.kafka_bootstrap_servers is None
    assert settings.schema_name == "firstclick"
    assert settings.topic_prefix == ""
    assert settings.target == "embedded"


def test_root_gets_a_home_that_others_can_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert Settings.load().home == ROOT_HOME


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTCLICK_KAFKA_PORT", "")
    assert Settings.load().kafka_port is None


def test_a_relative_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTCLICK_HOME", "state")
    assert Settings.load().home == Path.cwd() / "state"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FIRSTCLICK_KAFKA_PORT", "kafka"),
        ("FIRSTCLICK_KAFKA_PORT", "0"),
        ("FIRSTCLICK_POSTGRES_PORT", "65536"),
        ("FIRSTCLICK_PARTITIONS", "0"),
        ("FIRSTCLICK_KAFKA_FLUSH_MESSAGES", "0"),
        ("FIRSTCLICK_SCHEMA", "First Click"),
        ("FIRSTCLICK_SCHEMA", "pg_first"),
        ("FIRSTCLICK_SCHEMA", "s" * 52),
        ("FIRSTCLICK_SCHEMA", 's"; drop schema public; --'),
        ("FIRSTCLICK_TOPIC_PREFIX", "a/b"),
        ("FIRSTCLICK_TARGET", "oracle"),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI"),
        ("KAFKA_SSL_CA", "/nowhere"),
        ("KAFKA_SSL_CA", __file__),
        ("KAFKA_SSL_CERTIFICATE", "-----BEGIN CERTIFICATE-----"),
        ("FIRSTCLICK_TLS", "perhaps"),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092,"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        Settings.load()
    message = str(raised.value)
    assert message.startswith(f"{name} is {value!r}, expected ")
    assert "\n" not in message


@pytest.mark.parametrize(
    "url",
    ["mysql://shop:secret@db/shop", "postgresql://shop:secret@db/shop?nonsense=1"],
)
def test_a_wrong_url_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(SettingsError, match="DATABASE_URL") as raised:
        Settings.load()
    assert "secret" not in str(raised.value)


def test_the_environment_of_settings_makes_the_same_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIRSTCLICK_KAFKA_PORT", "9092")
    monkeypatch.setenv("FIRSTCLICK_TOPIC_PREFIX", "test.")
    settings = Settings.load()
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings.load() == settings


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "KAFKA_SASL_USERNAME"),
        ({"KAFKA_SASL_USERNAME": "me"}, "KAFKA_SASL_PASSWORD"),
        ({"KAFKA_SASL_PASSWORD": "hidden"}, "KAFKA_SASL_USERNAME"),
        ({"KAFKA_SSL_KEY": __file__}, "KAFKA_SSL_CERTIFICATE"),
        ({"FIRSTCLICK_TLS_KEY": __file__}, "FIRSTCLICK_TLS_CERTIFICATE"),
    ],
)
def test_what_is_missing_beside_another_is_named(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], missing: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{missing} is not set") as raised:
        Settings.load()
    assert "hidden" not in str(raised.value)


def test_a_secret_that_can_not_be_used_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAFKA_SSL_KEY", "hidden")
    with pytest.raises(SettingsError, match="KAFKA_SSL_KEY is not usable") as raised:
        Settings.load()
    assert "hidden" not in str(raised.value)


def test_a_given_cluster_is_passed_on_with_all_that_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    security = Security("SASL_SSL", "SCRAM-SHA-512", "me", "secret")
    cluster = Cluster("one:1,two:2", security)
    for name, value in cluster.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings.load().kafka == cluster
    assert cluster.client() == {
        "bootstrap.servers": "one:1,two:2",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "me",
        "sasl.password": "secret",
    }
