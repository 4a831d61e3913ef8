"""dbt without the seconds that its start takes: forked off a process that has begun."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

# Named from the project's directory: the fork server doesn't get pytest's sys.path
_PRELOADED = "tests.support.begun_dbt"
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([_PRELOADED])


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
    # multiprocessing ignores a module that it can't import
    assert _PRELOADED in sys.modules
    from dbt.cli.main import cli

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    file = os.open(output, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(file, stream.fileno())
    cli(arguments)
