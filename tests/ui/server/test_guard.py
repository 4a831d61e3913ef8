"""The page's access rules, and the headers that restrict what a browser does."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from browsing import Site

from firstclick.dashboard.server.assets import ECharts
from harness import Harness

PAGE = "/d/firstclick-insights"
TOKEN = "a secret; of=ours"


def test_a_page_allows_nothing_but_its_own_files(site: Site) -> None:
    status, text, headers = site.ask(PAGE)
    assert status == 200
    policy = dict(
        part.strip().split(" ", 1)
        for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy.pop("default-src") == "'none'"
    assert policy.pop("base-uri") == policy.pop("frame-ancestors") == "'none'"
    assert policy.pop("form-action") == "'none'"
    assert set(policy.values()) == {"'self'"}
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "server" not in headers
    assert "select" not in text.partition("<body>")[2], "no SQL is in the page"
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")


def test_the_charts_library_is_kept_for_ever_by_its_version(site: Site) -> None:
    echarts = ECharts()
    status, text, headers = site.ask(echarts.url)
    assert status == 200 and "echarts" in text
    assert headers["Content-Type"].startswith("text/javascript")
    assert "immutable" in headers["Cache-Control"]
    assert site.ask(echarts.url.replace(echarts.version, "0"))[0] == 404
    assert site.ask(echarts.url.replace("echarts.esm", "..%2fechart"))[0] == 404
    assert site.ask("/static/..%2fguard.py")[0] == 404


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/d/other", 404, "no dashboard 'other', expected one of firstclick-insights"),
        ("/d/other/values", 404, "no dashboard 'other'"),
        (f"{PAGE}?var-span=1+minute", 400, "var-span is '1 minute', expected one of 1"),
        (f"{PAGE}/values?var-span=" + quote("1 hour'; drop"), 400, "var-span is "),
        ("/nowhere", 404, "Not Found"),
    ],
)
def test_what_there_is_not_is_said_in_a_line(
    site: Site, path: str, status: int, reason: str
) -> None:
    found, text, headers = site.ask(path)
    assert found == status
    assert text.startswith(reason) and text.count("\n") == 1
    assert headers["Content-Type"].startswith("text/plain")
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_the_first_page_is_the_first_dashboard(site: Site) -> None:
    status, _, headers = site.ask("/")
    assert (status, headers["Location"]) == (307, PAGE)


def test_another_name_for_this_machine_is_refused(site: Site) -> None:
    for name in ("localhost", "127.0.0.1", "[::1]", f"localhost:{site.port}"):
        assert site.ask(PAGE, host=name)[0] == 200
    assert site.ask("/metrics", host="evil.example")[0] == 421
    for name in ("evil.example", f"evil.example:{site.port}", "", "localhost.evil"):
        assert site.ask(PAGE, host=name)[0] in (400, 421)


def test_another_site_may_not_read_but_may_link(site: Site) -> None:
    reading = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors"}
    assert site.ask(PAGE + "/values", **reading)[0] == 403
    beside = {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors"}
    assert site.ask(PAGE, **beside)[0] == 403
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert site.ask(PAGE, **link)[0] == 200


@pytest.fixture(scope="module")
def open_site(
    pipeline: Harness, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Serve a page that other machines can reach."""
    log = tmp_path_factory.mktemp("open") / "log"
    settings = {"FIRSTCLICK_LIVE_HOST": "0.0.0.0", "FIRSTCLICK_LIVE_TOKEN": TOKEN}
    with Site(pipeline.stack, log, **settings) as site:
        yield site


def test_whom_others_can_reach_asks_for_the_token(open_site: Site) -> None:
    for path in ("/", PAGE, PAGE + "/values", "/static/main.js", "/metrics"):
        status, text, _ = open_site.ask(path)
        assert status == 401 and text.count("\n") == 1
        assert open_site.ask(f"{path}?token=wrong")[0] == 401
        assert open_site.ask(path, Authorization="Bearer wrong")[0] == 401
        assert open_site.ask(path, Cookie="a=b; firstclick-live-1=x")[0] == 401
    for path in (PAGE, "/metrics"):
        assert open_site.ask(path, Authorization=f"Bearer {TOKEN}")[0] == 200
    assert open_site.ask("/health")[0] == 200, "who started it asks without"
    assert TOKEN not in open_site.log


def test_the_token_is_given_once_and_kept_in_a_cookie(open_site: Site) -> None:
    address = f"{PAGE}?var-span=6+hours&token={quote(TOKEN)}"
    status, _, headers = open_site.ask(address, host="shop.example")
    assert (status, headers["Location"]) == (303, f"{PAGE}?var-span=6+hours")
    cookie, *attributes = headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=lax"} <= set(attributes)
    assert open_site.ask(PAGE, host="shop.example", Cookie=cookie)[0] == 200


def refusal(**environment: str) -> str:
    """Start a page that must refuse to start; return its only line of output."""
    ended = subprocess.run(
        [sys.executable, "-m", "firstclick.dashboard.server"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    return str(json.loads(lines[0])["event"])


def test_a_page_that_cannot_be_served_says_why_in_a_line(
    pipeline: Harness, tmp_path: Path
) -> None:
    url = pipeline.stack.reader_url
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert refusal(DATABASE_URL=url, FIRSTCLICK_LIVE_PORT=port) == (
            f"127.0.0.1:{port} is taken: set FIRSTCLICK_LIVE_PORT to a free port"
        )
    assert refusal(DATABASE_URL=url, FIRSTCLICK_LIVE_HOST="0.0.0.0").startswith(
        "FIRSTCLICK_LIVE_HOST is 0.0.0.0, which others can reach, and "
    )
    assert refusal(
        DATABASE_URL=url, FIRSTCLICK_LIVE_HOST="192.0.2.1", FIRSTCLICK_LIVE_TOKEN="x"
    ).startswith("the page can't be served on 192.0.2.1:0, ")
    assert refusal().startswith("DATABASE_URL is not set: expected ")
