"""The command line, as a user runs it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from firstclick.cli.commands import app
from firstclick.core.pipeline import Pipeline, find

COMMANDS = typer.main.get_group(app).commands.values()
COMMAND = [sys.executable, "-c", "from firstclick.cli import main; main()"]


def _run(
    home: Path, *arguments: str, **variables: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments],
        env={**os.environ, "FIRSTCLICK_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def _start(home: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env={**os.environ, "FIRSTCLICK_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _assert_one_line(result: "subprocess.CompletedProcess[str]", *words: str) -> None:
    assert result.returncode != 0
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("firstclick: ")
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize("command", ["env", "psql", "generate"])
def test_what_needs_a_running_stack_says_so(tmp_path: Path, command: str) -> None:
    home = tmp_path / "home"
    _assert_one_line(_run(home, command), "nothing runs", "firstclick up")
    assert not home.exists()


def test_down_and_status_without_up_say_that_nothing_runs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    down = _run(home, "down")
    assert (down.returncode, down.stderr) == (0, "")
    assert "Nothing runs" in down.stdout
    status = _run(home, "status", "--json")
    assert status.returncode == 1
    assert json.loads(status.stdout)["healthy"] is False


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (["up", "--detached"], {}, ["--detached"]),
        (["nonsense"], {}, ["nonsense"]),
        (["generate", "--rate", "much"], {}, ["--rate"]),
        (["up"], {"FIRSTCLICK_KAFKA_PORT": "x"}, ["FIRSTCLICK_KAFKA_PORT", "'x'"]),
        (["up"], {"FIRSTCLICK_TARGET": "risingwave"}, ["'risingwave'", "'embedded'"]),
        (["up"], {"FIRSTCLICK_SCHEMA": "[red]"}, ["'[red]'"]),
    ],
)
def test_a_mistake_is_told_in_one_line(
    tmp_path: Path, arguments: list[str], variables: dict[str, str], words: list[str]
) -> None:
    _assert_one_line(_run(tmp_path / "home", *arguments, **variables), *words)


def test_the_help_fits_a_screen_and_groups_the_commands(tmp_path: Path) -> None:
    shown = _run(tmp_path, "--help", COLUMNS="80")
    assert shown.returncode == 0
    lines = shown.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert 24 <= len(lines) <= 40
    groups = re.findall(r"^╭─ (\w+) ", shown.stdout, re.MULTILINE)
    assert groups == ["Options", "Run", "Look", "Operate", "Develop"]


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_the_help_of_a_command_has_an_example(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "80"})
    assert shown.exit_code == 0
    assert max(map(len, shown.stdout.splitlines())) <= 80
    example = re.search(r"Example: `(.+)`", shown.stdout)
    assert example is not None and f"firstclick {command}" in example[1]


def test_the_version_is_the_installed_one(tmp_path: Path) -> None:
    assert _run(tmp_path, "--version").stdout == f"firstclick {version('firstclick')}\n"


def test_an_old_option_still_works_and_names_the_new_one(tmp_path: Path) -> None:
    result = _run(tmp_path / "home", "generate", "--mess", "0")
    warning, error = result.stderr.splitlines()
    assert "--mess is now --anomaly-rate" in warning
    assert "nothing runs in" in error


def test_env_is_what_a_shell_can_eval(stack: Pipeline) -> None:
    plain = _run(stack.home, "env").stdout
    values = dict(line.split("=", 1) for line in plain.splitlines())
    assert shlex.split(values["DATABASE_URL"]) == [stack.database_url]
    assert shlex.split(values["KAFKA_BOOTSTRAP_SERVERS"]) == [stack.bootstrap_servers]
    script = f"{shlex.join([*COMMAND, 'env', '--export'])}"
    shell = subprocess.run(
        ["sh", "-c", f'eval "$({script})" && printenv PGPORT'],
        env={**os.environ, "FIRSTCLICK_HOME": str(stack.home)},
        capture_output=True,
        text=True,
    )
    assert shell.stdout.strip() == values["PGPORT"]


def test_psql_sees_the_models_without_their_schema(stack: Pipeline) -> None:
    result = _run(stack.home, "psql", "-Atc", "select count(*) from last_hour_revenue")
    assert (result.stdout, result.stderr) == ("1\n", "")


def test_up_again_says_that_it_is_up(stack: Pipeline) -> None:
    result = _run(stack.home, "up", "--detach")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        f"Already up in {stack.home}\nLive page on {stack.live_url}\n"
    )


def test_status_shows_health_to_people_and_programs(stack: Pipeline) -> None:
    shown = _run(stack.home, "status", COLUMNS="80")
    assert shown.returncode == 0, shown.stdout
    assert shown.stdout.startswith("healthy")
    assert max(map(len, shown.stdout.splitlines())) <= 80
    found = json.loads(_run(stack.home, "status", "--json").stdout)
    assert found["healthy"] is True
    assert {process["name"] for process in found["processes"]} == {
        "connector",
        "live",
        "publisher",
    }
    assert {topic["topic"] for topic in found["topics"]} == {"clicks", "purchases"}


def test_logs_are_shown_in_order_and_are_json_in_their_files(stack: Pipeline) -> None:
    for name in ("connector", "live", "publisher", "supervisor"):
        lines = (stack.home / "logs" / f"{name}.log").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert records
        assert {record["worker"] for record in records} == {name}
        assert all({"time", "level", "event"} <= record.keys() for record in records)
    shown = _run(stack.home, "logs", "--lines", "1000")
    assert (shown.returncode, shown.stderr) == (0, "")
    times = [line[:23] for line in shown.stdout.splitlines()]
    assert times == sorted(times)
    assert re.search(r"^\S+ \S+  connector  INFO     reading", shown.stdout, re.M)
    one = _run(stack.home, "logs", "publisher").stdout.splitlines()
    assert {line.split()[2] for line in one} == {"publisher"}
    _assert_one_line(_run(stack.home, "logs", "cook"), "'cook'", "connector", "live")


def test_logs_are_followed_until_a_signal(stack: Pipeline) -> None:
    with _start(stack.home, "logs", "--follow", "--lines", "1") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


def test_generate_says_what_it_sent(stack: Pipeline) -> None:
    result = _run(
        stack.home, "generate", "--rate", "100", "--duration", "1", "--seed", "1"
    )
    assert result.returncode == 0, result.stderr
    assert "clicks" in result.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_generate_ends_well_at_a_signal(
    stack: Pipeline, number: signal.Signals
) -> None:
    process = _start(stack.home, "generate", "--rate", "100")
    with process:
        _wait_for_handlers(process)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert "clicks" in output


def test_of_two_ups_at_once_one_starts_and_a_signal_stops_all(
    make_home: Callable[[], Path],
) -> None:
    home = make_home()
    both = [_start(home, "up", "--servers-only") for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        while not (line := process.stdout.readline()).startswith("Ready in"):
            assert line, process.communicate()
    state = find(home)
    assert state is not None
    for process in both:
        assert process.stdout is not None
        if process.stdout.readline() == "Ctrl-C stops it.\n":
            process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
    assert state.supervisor.find() is None
    assert [c for c in state.children.values() if c.process.find()] == []


def _wait_for_handlers(process: "subprocess.Popen[str]") -> None:
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        caught = status.read_text().split("SigCgt:")[1].split()[0]
        # Wait for SIGTERM's handler, because Python itself always handles SIGINT
        if int(caught, 16) & (1 << signal.SIGTERM - 1):
            return
