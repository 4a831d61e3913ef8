"""dbt without the seconds that its start takes: forked off a process that has begun."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
# By its name from the project's directory, where pytest runs
_CONTEXT.set_forkserver_preload(["tests.begun_dbt"])


def run_dbt(
    *arguments: str, directory: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command of dbt as if by itself; what it printed is in `stdout`."""
    with tempfile.NamedTemporaryFile() as output:
        process = _CONTEXT.Process(
            target=_run,
            args=(["--no-use-colors", *arguments], directory, environment, output.name),
        )
        process.start()
        process.join()
        assert process.exitcode is not None
        printed = output.read().decode()
    return subprocess.CompletedProcess(arguments, process.exitcode, printed)


def _run(
    arguments: list[str], directory: Path, environment: Mapping[str, str], output: str
) -> None:
    from dbt.cli.main import cli

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    file = os.open(output, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(file, stream.fileno())
    cli(arguments)
