"""Write a dbt project that you can edit, as `firstclick init` does."""

import os
import shutil
from importlib.resources import files
from pathlib import Path

import yaml

from firstclick.core.errors import SettingsError
from firstclick.core.project import PROJECT

_IGNORED = "target/\nlogs/\ndbt_packages/\n.user.yml\n"


def write_project(directory: Path) -> None:
    """Write a copy of the dbt project that comes with First Click, and a README.

    Creates the directory if it is missing. Raises SettingsError if it isn't empty or
    can't be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise SettingsError(
                f"{directory} is not empty, expected an empty directory or none: name "
                "another one"
            )
        for part in _parts():
            _copy(PROJECT / part, directory / part)
        readme = files("firstclick.deploy") / "project_readme.md"
        (directory / "README.md").write_text(readme.read_text("utf-8"), "utf-8")
        (directory / ".gitignore").write_text(_IGNORED)
    except OSError as error:
        raise SettingsError(
            f"{error.filename or directory} can't be written, {error.strerror}: name "
            "another directory"
        ) from error


def _parts() -> list[str]:
    described = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())
    kinds = ("model", "macro", "seed", "test")
    paths = [path for kind in kinds for path in described[f"{kind}-paths"]]
    return ["dbt_project.yml", "profiles.yml", *paths, "grafana"]


def _copy(source: Path, target: Path) -> None:
    """Copy files, but not their modes: a package's files may be read-only."""
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        return
    target.mkdir(parents=True)
    for entry in os.listdir(source):
        _copy(source / entry, target / entry)
