"""Logs are records, stay within a size, and are readable."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from firstclick.core import logging as logs
from firstclick.core import processes
from firstclick.core.errors import HomeError
from firstclick.core.logging import BURST, KEPT, Quiet, as_record, parsed
from firstclick.core.processes import Command, Running
from firstclick.operate.log_viewer import LogViewer, choose


def run(program: str) -> list[dict[str, object]]:
    """Run a program and return the records that it logs."""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    return [json.loads(line) for line in ended.stderr.splitlines()]


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_line_is_a_record_of_what_happened_and_its_values() -> None:
    (record,) = run(
        "from firstclick.core.logging import configure\n"
        "log = configure('cook')\n"
        "log.warning('%d eggs\\n broke', 3, extra={'eggs': 3})\n"
    )
    assert list(record)[:4] == ["time", "level", "worker", "event"]
    assert str(record.pop("time")).endswith("Z")
    assert record == {
        "level": "WARNING",
        "worker": "cook",
        "event": "3 eggs\n broke",
        "eggs": 3,
    }


@pytest.mark.parametrize(
    "end", ["1 / 0", "import threading; threading.Thread(target=lambda: 1 / 0).start()"]
)
def test_what_ends_a_process_or_a_thread_is_a_record_too(end: str) -> None:
    (record,) = run(
        f"from firstclick.core.logging import configure; configure('cook'); {end}"
    )
    assert record["level"] == "CRITICAL"
    assert record["event"] == "ZeroDivisionError: division by zero"
    assert str(record["traceback"]).startswith("Traceback (most recent call last)")


def test_what_others_write_becomes_a_record() -> None:
    line = as_record("cook", '%3|123|FAIL|rdkafka#1| it "failed"')
    found = parsed(line)
    assert found is not None
    assert (found.level, found.worker) == ("ERROR", "cook")
    assert found.event == '%3|123|FAIL|rdkafka#1| it "failed"'
    assert as_record("cook", line) == line


def test_a_talkative_process_fills_a_bounded_number_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LARGEST", 2_000)
    program = "for number in range(1000): print('line', number)"
    command = Command(
        [sys.executable, "-c", program],
        {},
        tmp_path,
        record=lambda line: as_record("cook", line),
    )
    running = Running.start("cook", command, tmp_path)
    running.process.wait()
    assert "line 999" in running.last_words()[-1]
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + KEPT
    assert all(file.stat().st_size <= 2_000 for file in files)
    assert all(parsed(line) for file in files for line in file.read_text().splitlines())


def test_a_log_of_its_own_is_rotated_with_what_goes_to_stderr(tmp_path: Path) -> None:
    program = (
        "import logging, sys\n"
        "from pathlib import Path\n"
        "from firstclick.core import logging as logs\n"
        "logs.LARGEST = 2_000\n"
        f"logs.log_into(Path({str(tmp_path)!r}) / 'cook.log', 'cook')\n"
        "for number in range(100): logging.info('line %d', number)\n"
        "print('the end', file=sys.stderr)\n"
    )
    assert run(program) == []
    assert len(list(tmp_path.iterdir())) == 1 + KEPT
    assert (tmp_path / "cook.log").read_text().endswith("the end\n")


LINES = {
    "connector": '{"time":"2026-11-24T10:00:00.002Z","level":"ERROR",'
    '"worker":"connector","event":"bad \\u001b[31m",'
    '"traceback":"Traceback\\n  here"}\n',
    "kafka": "never\n2026-11-24T12:00:00.001+02:00 [main] WARN cold\n\tat java\n",
    "postgres": "2026-11-24 10:00:00.003 UTC [1] @ LOG:  ready\n",
    "dbt": "10:00:00.000000 [info ] undated\n",
}


def test_the_logs_are_read_together_in_the_order_of_time(tmp_path: Path) -> None:
    for name, text in LINES.items():
        (tmp_path / f"{name}.log").write_text(text)
    found = [
        str(line) for line in LogViewer(tmp_path, choose(tmp_path, None)).latest(9)
    ]
    assert found == [
        "                         kafka               never",
        "2026-11-24 10:00:00.001  kafka               [main] WARN cold",
        "2026-11-24 10:00:00.001  kafka               \tat java",
        "2026-11-24 10:00:00.002  connector  ERROR    bad \\x1b[31m",
        "2026-11-24 10:00:00.002  connector           Traceback",
        "2026-11-24 10:00:00.002  connector             here",
        "2026-11-24 10:00:00.003  postgres            [1] @ LOG:  ready",
    ]
    (last,) = LogViewer(tmp_path, ["kafka", "postgres"]).latest(1)
    assert last.process == "postgres"


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="has no logs, expected those of a stack"):
        choose(tmp_path, None)
    (tmp_path / "kafka.log").touch()
    with pytest.raises(HomeError, match="no log of 'cook', expected one of kafka"):
        choose(tmp_path, "cook")


def test_logs_are_followed_over_their_rotation(tmp_path: Path) -> None:
    file = tmp_path / "cook.log"
    file.write_text("2026-11-24 10:00:00.001 a\n2026-11-24 10:00:00.002 b")
    book = LogViewer(tmp_path, ["cook"])
    assert [entry.text for entry in book.latest(5)] == ["a"]

    def rotate() -> None:
        with file.open("a") as old:
            old.write("c\n")
        file.rename(file.with_suffix(".log.1"))
        file.write_text("2026-11-24 10:00:00.003 d\n")

    steps = iter([rotate, lambda: None])

    def ended(seconds: float) -> bool:
        step = next(steps, None)
        if step is not None:
            step()
        return step is None

    assert [entry.text for entry in book.follow(ended)] == ["bc", "d"]
    assert [e.text for e in LogViewer(tmp_path, ["cook"]).latest(5)] == ["a", "bc", "d"]


FLOOD = """
import logging, sys
from firstclick.core.logging import configure
log = configure('cook')
log.info('begun')
for number in range(5000):
    log.error('no pan at 127.0.0.1:%d', 40000 + number)
log.info('%d eggs', 1)
log.info('%d eggs', 2)
"""


def test_what_repeats_is_logged_first_and_last_with_its_count() -> None:
    records = run(FLOOD)
    assert len(records) < 50
    assert records[0]["event"] == "begun"
    assert records[1]["event"] == "no pan at 127.0.0.1:40000"
    assert {"1 eggs", "2 eggs"} <= {record["event"] for record in records}
    told = [record for record in records if record.get("repeated", 1) != 1]
    errors = sum(str(record["event"]).startswith("no pan") for record in records)
    held = sum(int(str(record["repeated"])) for record in told)
    assert errors - len(told) + held == 5000
    assert "no pan at 127.0.0.1:44999" in str(told[-1]["event"])


def test_what_repeats_is_told_while_it_goes_on_and_no_more_when_it_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(logs, "QUIET_SECONDS", 0.05)

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    log = logging.Logger("cook")
    log.addHandler(Quiet(Kept()))
    for _ in range(3):
        before = len(said)
        for _ in range(100):
            log.error("no pan")
        # A timer logs the repetitions, without another call
        eventually(lambda: len(said) > before and "like it" in said[-1])  # noqa: B023
    assert said.count("no pan") >= BURST
    silence = time.monotonic() + 0.2
    eventually(lambda: time.monotonic() > silence)
    log.error("no pan")
    assert said[-1] == "no pan"


def test_what_another_program_repeats_is_counted(tmp_path: Path) -> None:
    program = (
        "for number in range(5000): print('2026-11-27 18:00:0%d.123 UTC [%d] ERROR: no'"
        " % (number % 10, 30000 + number))\n"
        "print('the end')"
    )
    command = Command(
        [sys.executable, "-c", program], {}, tmp_path, record=lambda line: f"<{line}>"
    )
    running = Running.start("cook", command, tmp_path)
    assert running.last_words()[-1] == "<the end>"
    lines = (tmp_path / "cook.log").read_text().splitlines()
    assert len(lines) < 50
    assert lines[0] == "<2026-11-27 18:00:00.123 UTC [30000] ERROR: no>"
    assert "<the end>" in lines
    assert any("[34999] ERROR: no (the last of " in line for line in lines)
