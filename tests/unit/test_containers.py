"""docker-compose.yml and the workflow, checked without Docker."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from firstclick.core.project import PROJECT

COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
PROFILES = ("materialize", "risingwave")


def of_profile(profile: str) -> dict[str, Any]:
    return {name: s for name, s in SERVICES.items() if profile in s["profiles"]}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_whole(profile: str) -> None:
    services = of_profile(profile)
    for parts in ("kafka", "topics", "generator", "deploy", "expire", "grafana"):
        assert any(name.startswith(parts) for name in services), parts
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services, name
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], needed
            else:
                assert how["condition"] == "service_completed_successfully"
                assert "restart" not in services[needed]


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned_and_its_ports_are_this_machines(name: str) -> None:
    service = SERVICES[name]
    if "build" not in service:
        _, version = service["image"].rsplit(":", 1)
        assert version.strip("v")[0].isdigit()
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:")
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert source in COMPOSE["volumes"] or (PROJECT / source).exists()


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_differ_in_the_engine_alone(profile: str) -> None:
    other = next(name for name in PROFILES if name != profile)
    assert {name.replace(profile, "engine") for name in of_profile(profile)} == {
        name.replace(other, "engine") for name in of_profile(other)
    }


def test_the_workflow_names_services_and_scripts_that_there_are() -> None:
    jobs = yaml.safe_load((PROJECT / ".github/workflows/ci.yml").read_text())["jobs"]
    for engine in jobs["conformance"]["strategy"]["matrix"]["engine"]:
        assert engine in SERVICES
        assert f"conformance-{engine}" in SERVICES
    assert {"run": "scripts/test"} in jobs["test"]["steps"]
    assert (PROJECT / "scripts/test").exists()


def test_actions_are_pinned_by_commit() -> None:
    for workflow in (PROJECT / ".github" / "workflows").glob("*.yml"):
        for used in re.findall(r"uses: *(.+)", workflow.read_text()):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used)


def test_the_image_has_the_versions_that_are_tested() -> None:
    tested = versions(PROJECT / "requirements.lock")
    of_image = versions(PROJECT / "requirements-production.lock")
    assert of_image.items() < tested.items()
    assert {"dbt-materialize", "dbt-risingwave"} < of_image.keys()
    assert not {"mypy", "pytest", "ruff"} & of_image.keys()


def versions(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)(?:\[.*\])?==(\S+)", lock.read_text(), re.M))
