"""Apache Kafka's jars, from the Maven repository, with versions from kafka.lock."""

import hashlib
import os
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import platformdirs

from firstclick.core.errors import ServerError
from firstclick.core.trust import changeable

_DOWNLOADS = 8


def class_path(home: Path, stopping: threading.Event) -> list[Path]:
    """Return the paths of Kafka's jars, and download them if they are missing.

    They are kept in the user's cache, or in ``home`` if that is not writable. A cache
    that other users can change is not used: for example, that of the user whose HOME
    root has kept after ``sudo``.

    The download happens once (45 MB). Each jar's SHA-256 must be that of kafka.lock.
    Jars in Maven's local repository, ``~/.m2``, aren't downloaded again. Raises
    ServerError if a jar is not available, or if ``stopping`` is set meanwhile.
    """
    lock = (files("firstclick.servers") / "kafka.lock").read_text()
    lines = [line for line in lock.splitlines() if not line.startswith("#")]
    jars = [(line.split()[0], line.split()[1]) for line in lines]
    names = ["-".join(jar.split(":")[1:]) + ".jar" for jar, _ in jars]
    directory = f"kafka-{hashlib.sha256(lock.encode()).hexdigest()[:12]}"
    cache = platformdirs.user_cache_path("firstclick", appauthor=False)
    caches = [cache, home] if _is_safe(cache / directory) else [home]
    for cache in caches:
        if (cache / directory).is_dir():
            return [cache / directory / name for name in names]
    cache = next(filter(_is_writable, caches), home)
    try:
        _install(jars, names, cache / directory, stopping)
    except OSError as error:
        raise ServerError(
            f"Kafka's files can't be kept in {cache}: {error.strerror or error}; "
            "make room there, or set XDG_CACHE_HOME to another directory"
        ) from error
    return [cache / directory / name for name in names]


def _is_safe(directory: Path) -> bool:
    try:
        return changeable(directory) is None
    except OSError:
        return False


def _is_writable(cache: Path) -> bool:
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(cache, os.W_OK)


def _install(
    jars: Sequence[tuple[str, str]],
    names: Sequence[str],
    target: Path,
    stopping: threading.Event,
) -> None:
    with tempfile.TemporaryDirectory(
        dir=target.parent, prefix=target.name, ignore_cleanup_errors=True
    ) as scratch:
        complete = Path(scratch) / "complete"
        complete.mkdir()

        def install(jar: tuple[str, str], name: str) -> None:
            if stopping.is_set():
                raise ServerError("stopped while Kafka was downloaded")
            (complete / name).write_bytes(_find(*jar, scratch=Path(scratch)))

        with ThreadPoolExecutor(_DOWNLOADS) as pool:
            list(pool.map(install, jars, names))
        try:
            complete.rename(target)
        except OSError:
            # Another process may have installed them meanwhile
            if not target.is_dir():
                raise


def _find(jar: str, sha256: str, scratch: Path) -> bytes:
    import requests
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    settings = GlobalSettings.load()
    repositories = {"central": MAVEN_CENTRAL_URL, **settings.repositories}
    group, name, version = jar.split(":")
    for local in ([settings.repo_cache], []):
        context = MavenContext(
            repo_cache=scratch, local_repos=local, remote_repos=repositories
        )
        artifact = context.project(group, name).at_version(version).artifact()
        try:
            file: Path = artifact.resolve()
        except (requests.RequestException, RuntimeError) as error:
            raise ServerError(
                # Cause: The first start downloads Kafka from Maven's central
                #   repository.
                # Remedy: Check your network or proxy, and start again.
                f"Kafka's {jar} could not be downloaded ({_reason(error)}): check the "
                "network, or set HTTPS_PROXY, then try again"
            ) from error
        # Read only once, so that the bytes we checked are the ones we install
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() == sha256:
            return content
        if file.is_relative_to(scratch):
            break
    raise ServerError(
        # Cause: The downloaded file is not the one that First Click was released with.
        # Remedy: Don't use it. Ask whoever runs your mirror or proxy.
        f"Kafka's {jar} came with another content than kafka.lock says: "
        "whatever serves Maven's repository here can't be trusted"
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
