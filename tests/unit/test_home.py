"""A directory that isn't ours is refused as a home, and its files survive."""

import json
import os
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from firstclick.core.errors import HomeError, ServerError
from firstclick.core.home import Home, Layout
from firstclick.core.pipeline import find
from firstclick.core.processes import Account, ProcessId
from firstclick.core.settings import Settings

ROOT = os.geteuid() == 0


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_home_is_closed_to_others(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    mode = stat.S_IMODE(home.path.stat().st_mode)
    assert mode == (0o711 if ROOT else 0o700)
    home.password("postgres")
    for file in home.path.glob("*.*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_password_is_generated_once(tmp_path: Path) -> None:
    first = Home.open(tmp_path / "home").password("postgres")
    assert Home.open(tmp_path / "home").password("postgres") == first
    assert len(first) >= 32


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(HomeError, match="symbolic link"):
        Home.open(tmp_path / "link")


@pytest.mark.parametrize("name", ["grafana.password", "state.json", "lock", "logs"])
def test_a_symbolic_link_in_a_home_is_refused(tmp_path: Path, name: str) -> None:
    home = Home.open(tmp_path / "home")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("{}")
    if name == "logs":
        home.logs.rmdir()
    (home.path / name).symlink_to(elsewhere if name == "logs" else elsewhere / "file")
    for use in (lambda: Home.open(home.path), lambda: find(home.path)):
        with pytest.raises(HomeError, match=f"{name} is a symbolic link"):
            use()
    assert (elsewhere / "file").read_text() == "{}"


def test_a_symbolic_link_that_was_put_there_meanwhile_is_not_read(
    tmp_path: Path,
) -> None:
    home = Home.open(tmp_path / "home")
    (tmp_path / "known").write_text("known")
    (home.path / "grafana.password").symlink_to(tmp_path / "known")
    with pytest.raises(HomeError, match="can't be used"):
        home.password("grafana")


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
@pytest.mark.parametrize("name", [".", "logs"])
def test_what_others_may_write_to_is_refused(
    tmp_path: Path, name: str, mode: int
) -> None:
    home = Home.open(tmp_path / "home")
    (home.path / name).chmod(mode)
    for use in (lambda: Home.open(home.path), lambda: find(home.path)):
        with pytest.raises(HomeError, match="can be written to by others"):
            use()


def test_what_others_may_only_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    home = Home.open(tmp_path / "home")
    assert stat.S_IMODE(home.path.stat().st_mode) & 0o066 == 0


def test_a_password_that_others_can_read_is_refused(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    home.password("grafana")
    (home.path / "grafana.password").chmod(0o640)
    with pytest.raises(HomeError, match="chmod 600"):
        Home.open(home.path)


def test_a_file_that_is_replaced_while_it_is_checked_is_none_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.open(tmp_path / "home")
    listed = [*home.path.iterdir(), home.path / "state.jsonq3x"]
    monkeypatch.setattr(Path, "iterdir", lambda path: iter(listed))
    home.check()


@pytest.mark.skipif(not ROOT, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    (home.path / "state.json").touch(mode=0o600)
    os.chown(home.path / "state.json", 12345, 12345)
    with pytest.raises(HomeError, match=r"state\.json belongs to user 12345"):
        find(home.path)


@pytest.mark.parametrize("detour", ["link/../link", "link/.", "./link/"])
def test_no_spelling_of_a_path_hides_a_symbolic_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detour: str
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv("FIRSTCLICK_HOME", f"{tmp_path}/{detour}")
    with pytest.raises(HomeError, match="symbolic link"):
        Home.open(Settings.load().home)


def test_a_directory_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    mode = tmp_path.stat().st_mode
    with pytest.raises(HomeError, match=r"thesis\.tex"):
        Home.open(tmp_path)
    assert tmp_path.stat().st_mode == mode


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(HomeError, match="can't be used"):
        Home.open(tmp_path / "home")


@pytest.mark.skipif(not ROOT, reason="only root can give a directory away")
def test_the_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(HomeError, match="belongs to user 12345"):
        Home.open(tmp_path)


def test_a_home_whose_making_was_interrupted_is_completed(tmp_path: Path) -> None:
    (tmp_path / "home.jsonq3x").touch()
    assert Home.open(tmp_path).read(Layout, "home.json") == Layout()


def test_a_layout_of_another_version_is_refused(tmp_path: Path) -> None:
    Home.open(tmp_path).write(Layout(version=99), "home.json")
    with pytest.raises(HomeError, match="layout 99, expected 1"):
        Home.open(tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(HomeError, match=r"state\.json is damaged"):
        _ = home.state


def test_of_two_that_lock_one_is_refused(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    with (
        home.locked(),
        pytest.raises(HomeError, match="in use by another"),
        home.locked(),
    ):
        pass


def test_a_port_is_remembered(tmp_path: Path) -> None:
    first = Home.open(tmp_path).port("kafka", None)
    assert Home.open(tmp_path).port("kafka", None) == first


def test_a_remembered_port_that_is_taken_is_replaced(
    tmp_path: Path, taken_port: int
) -> None:
    home = Home.open(tmp_path)
    home.write(Layout(ports={"kafka": taken_port}), "home.json")
    port = home.port("kafka", None)
    assert port != taken_port
    assert Home.open(tmp_path).port("kafka", None) == port


def test_a_port_that_is_set_and_taken_is_an_error(
    tmp_path: Path, taken_port: int
) -> None:
    with pytest.raises(ServerError, match=f"port {taken_port} is taken"):
        Home.open(tmp_path).port("kafka", taken_port)


def test_a_process_is_told_from_one_with_the_same_number() -> None:
    ours = ProcessId.of(os.getpid())
    assert ours.find() is not None
    earlier = ProcessId(ours.pid, ours.boot, (ours.ticks or 0) - 1)
    assert earlier.find() is None
    assert ProcessId(ours.pid, "another boot", ours.ticks).find() is None
    assert ProcessId(ours.pid).find() is None


def test_a_process_that_an_earlier_version_recorded_is_found() -> None:
    began = psutil.Process().create_time()
    record = json.dumps({"pid": os.getpid(), "create_time": began}).encode()
    assert msgspec.json.decode(record, type=ProcessId).find() is not None
    assert ProcessId(os.getpid(), create_time=began - 3600).find() is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no clock moves it")
@pytest.mark.parametrize("seconds", [-86_400, -60, 60, 86_400])
def test_a_process_is_found_after_the_clock_was_set(
    monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    ours = ProcessId.of(os.getpid())
    # The boot time is computed from the clock, so setting the clock moves it
    boot = psutil.boot_time() + seconds
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot)
    assert ours.find() is not None
    assert ProcessId.of(os.getpid()) == ours


def test_who_asks_for_the_lock_sees_whether_it_is_held(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    assert not home.is_held
    with home.locked():
        assert home.is_held
    assert not home.is_held


def test_the_directory_that_keeps_a_user_out_is_found() -> None:
    with tempfile.TemporaryDirectory() as closed:
        stranger = Account("stranger", 12345, 12345)
        directory = Path(closed).resolve()
        assert stranger.unreachable(directory / "file") == directory
        directory.chmod(0o711)
        assert stranger.unreachable(directory / "file") is None
