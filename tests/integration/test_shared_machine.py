"""Started by root, the stack doesn't trust the directory of PostgreSQL's user.

A process of that user may put anything there at any moment, for example a link to a
file that only root may read. Root must not be tricked by it.
"""

import contextlib
import errno
import os
import pwd
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from firstclick.core.errors import FirstClickError, HomeError, SettingsError
from firstclick.core.home import Home
from firstclick.servers.certificates import generated, given
from firstclick.servers.jars import class_path
from firstclick.servers.postgres import Postgres, programs_directory
from worker_world import eventually

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="takes root"),
]

SECRET = "for root alone, whatever others may do"

NAMES = ("server.pem", "server.key", "pg_hba.conf", "postgresql.conf", "initialising")
"""Names of files that root writes, or once wrote, in PostgreSQL's directory."""

AS_NOBODY = """
import ctypes, os, sys, time
uid, gid, script, *arguments = sys.argv[1:]
os.setgroups([])
os.setgid(int(gid))
os.setuid(int(uid))
exec(script)
"""

SWAP = """
directory, victim, *names = arguments
os.chdir(directory)
print("begun", flush=True)
while True:
    for name in {*names, *os.listdir()} - {"data"}:
        try:
            if os.path.isdir(name) and not os.path.islink(name):
                continue
            os.unlink(name)
        except OSError:
            pass
        try:
            os.symlink(victim, name)
        except OSError:
            pass
"""


@contextmanager
def as_nobody(script: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """Run a Python script as nobody, and wait until it prints "begun".

    The user nobody can't read our modules, so the script can't import them.
    """
    nobody = pwd.getpwnam("nobody")
    process = subprocess.Popen(
        [
            *(sys.executable, "-I", "-S", "-c", AS_NOBODY),
            *(str(nobody.pw_uid), str(nobody.pw_gid), script),
            *map(str, arguments),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process
    finally:
        process.kill()
        process.wait()


@dataclass
class Site:
    """A home, and a file that only root may read."""

    home: Home
    secret: Path

    @property
    def directory(self) -> Path:
        return self.home.path / "postgres"

    @property
    def postgres(self) -> Postgres:
        return Postgres(self.home, 1, certificates=generated(self.home))

    def prepare(self) -> None:
        self.postgres.prepare(threading.Event())

    def assert_untouched(self) -> None:
        status = self.secret.lstat()
        assert (status.st_uid, status.st_gid, status.st_mode) == (0, 0, 0o100600)
        assert self.secret.read_text() == SECRET
        assert self.secret.with_name("data").is_dir()
        for file in self.directory.rglob("*"):
            try:
                if file.is_file():
                    with open(file, "rb", opener=_itself) as opened:
                        if not os.path.samestat(os.fstat(opened.fileno()), status):
                            assert SECRET.encode() not in opened.read(), file
            except OSError as error:
                # Since it was listed, the file has disappeared or become a link
                if error.errno not in (errno.ENOENT, errno.ELOOP):
                    raise


def _itself(path: str, flags: int) -> int:
    """Open a file without following a link."""
    return os.open(path, flags | os.O_NOFOLLOW)


@pytest.fixture
def site(make_home: Callable[[], Path], tmp_path: Path) -> Site:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "PG_VERSION").write_text(SECRET)
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text(SECRET)
    return Site(Home.open(make_home()), secret)


def test_links_swapped_while_files_are_written_give_nothing_away(site: Site) -> None:
    site.prepare()
    written = 0
    with as_nobody(SWAP, site.directory, site.secret, *NAMES):
        for _ in range(30):
            with contextlib.suppress(FirstClickError):
                site.prepare()
                written += 1
            site.assert_untouched()
    site.prepare()
    site.assert_untouched()
    assert not (site.directory / "server.key").is_symlink()


def test_links_swapped_while_the_data_are_made_give_nothing_away(site: Site) -> None:
    site.directory.mkdir(mode=0o700)
    nobody = pwd.getpwnam("nobody")
    os.chown(site.directory, nobody.pw_uid, nobody.pw_gid)
    with (
        as_nobody(SWAP, site.directory, site.secret, *NAMES),
        contextlib.suppress(FirstClickError),
    ):
        site.prepare()
    site.assert_untouched()
    site.prepare()
    site.assert_untouched()


@pytest.mark.parametrize("plant", [os.symlink, os.link])
def test_a_link_that_waits_under_a_files_name_is_not_followed(
    site: Site, plant: Callable[[Path, Path], None]
) -> None:
    site.prepare()
    for name in NAMES:
        (site.directory / name).unlink(missing_ok=True)
        plant(site.secret, site.directory / name)
    for name in ("server.pem.x", "data/postmaster.pid", "data/pg_hba.conf"):
        (site.directory / name).unlink(missing_ok=True)
        plant(site.secret, site.directory / name)
    site.prepare()
    site.assert_untouched()


def test_data_that_are_a_link_are_not_read_by_root(site: Site) -> None:
    site.prepare()
    data = site.directory / "data"
    data.rename(site.directory / "aside")
    data.symlink_to(site.secret.with_name("data"))
    with pytest.raises(HomeError) as raised:
        site.prepare()
    assert SECRET[:10] not in str(raised.value)
    site.assert_untouched()


def test_a_pipe_for_a_file_keeps_nobody_waiting(site: Site) -> None:
    site.prepare()
    (site.directory / "data" / "PG_VERSION").unlink()
    os.mkfifo(site.directory / "data" / "PG_VERSION", 0o644)
    with pytest.raises(HomeError, match="PG_VERSION"):
        site.prepare()


def test_a_forged_record_of_the_server_ends_nobody(site: Site) -> None:
    site.prepare()
    data = site.directory / "data"
    with (
        subprocess.Popen(["sleep", "300"], cwd=data) as of_root,
        as_nobody("print('begun', flush=True); time.sleep(300)") as of_another,
    ):
        try:
            for victim in (of_root, of_another):
                created = psutil.Process(victim.pid).create_time()
                record = f"{victim.pid}\n{data}\n{created:.0f}\n1\n\n127.0.0.1\n"
                (data / "postmaster.pid").write_text(record)
                site.prepare()
                assert victim.poll() is None
                assert not (data / "postmaster.pid").exists()
        finally:
            of_root.kill()


def test_what_an_earlier_server_left_is_ended(site: Site) -> None:
    site.prepare()
    name = "ctypes.CDLL(None).prctl(15, b'postgres', 0, 0, 0); "
    work = f"os.chdir({str(site.directory / 'data')!r}); print('begun', flush=True);"
    with (
        as_nobody(name + work + "time.sleep(300)") as orphan,
        # Another program of the same user, which must survive
        as_nobody(work + "time.sleep(300)") as other,
    ):
        site.prepare()
        eventually(lambda: orphan.poll() is not None, "the orphan is gone")
        assert other.poll() is None


def directory_of(owner: str, path: Path, mode: int) -> Path:
    path.mkdir()
    os.chown(path, pwd.getpwnam(owner).pw_uid, 0)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("owner", "mode"), [("nobody", 0o755), ("root", 0o777), ("nobody", 0o1777)]
)
def test_what_others_can_replace_is_refused(
    tmp_path: Path, owner: str, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = directory_of(owner, tmp_path / "theirs", mode)
    (tmp_path / "link").symlink_to(theirs)
    for way in (theirs, tmp_path / "link"):
        with pytest.raises(HomeError, match="can be changed by other users"):
            Home.open(way / "home")
        assert not (theirs / "home").exists()
    program = theirs / "postgres"
    program.touch(mode=0o755)
    with pytest.raises(SettingsError, match="can be changed by other users"):
        programs_directory(theirs)
    with pytest.raises(SettingsError, match="can be changed by other users"):
        given(program, program, program)
    monkeypatch.setenv("XDG_CACHE_HOME", str(theirs))
    home = tmp_path / "home"
    home.mkdir()
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(FirstClickError, match="stopped"):
        class_path(home, stopping)
    assert [entry.name for entry in theirs.iterdir()] == ["postgres"]


def test_a_directory_that_all_share_is_as_safe_as_its_entries(tmp_path: Path) -> None:
    shared = directory_of("root", tmp_path / "shared", 0o1777)
    Home.open(shared / "home")
    planted = directory_of("nobody", shared / "planted", 0o755)
    os.symlink(tmp_path, shared / "link")
    os.lchown(shared / "link", pwd.getpwnam("nobody").pw_uid, 0)
    for way in (planted, shared / "link"):
        with pytest.raises(HomeError, match="can be changed by other users"):
            Home.open(way / "home")
