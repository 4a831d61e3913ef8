"""Too many connections, or bad ones, don't stop the page from answering others."""

import contextlib
import http.client
import logging
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Site
from streams import Viewer

from firstclick.core.cluster import Cluster
from firstclick.core.pipeline import Pipeline
from firstclick.dashboard.definition import load_all
from firstclick.dashboard.server.connections import Connections
from worker_world import eventually

FILES = 128
"""Files that the page may have open; at the usual limit, each test would need thousands
of connections."""

INSIGHTS = next(iter(load_all().values()))


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Site]:
    """Serve the page without a database."""
    away = "postgresql://nobody@127.0.0.1:1/none"
    nowhere = Pipeline(
        *(tmp_path, away, Cluster("127.0.0.1:1"), "firstclick", ""), reader_url=away
    )
    with Site(nowhere, tmp_path / "log", files=FILES) as site:
        yield site


def ask(site: Site, path: str) -> tuple[int, str, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers


def metric(site: Site, name: str) -> float:
    [found] = re.findall(rf"^{name} (\S+)$", ask(site, "/metrics")[1], re.MULTILINE)
    return float(found)


def connect(site: Site, sent: bytes = b"") -> socket.socket:
    connected = socket.create_connection(("127.0.0.1", site.port), 30)
    connected.sendall(sent)
    return connected


def is_closed(connected: socket.socket) -> bool:
    connected.setblocking(False)
    try:
        while connected.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


GET = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BEGUN = {
    "nothing": b"",
    "a word": b"GET /health",
    "half a head": GET,
    "half a body": GET + b"Content-Length: 10\r\n\r\n12345",
    "half a chunk": GET + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12",
    "one request": GET + b"\r\n",
    "one and a half": GET + b"\r\n" + GET,
}


@pytest.mark.parametrize("begun", BEGUN.values(), ids=list(BEGUN))
def test_more_unfinished_requests_than_files_keep_nobody_out(
    page: Site, begun: bytes
) -> None:
    with contextlib.ExitStack() as stack, Viewer(page.port, INSIGHTS.uid) as viewer:
        viewer.next()
        for _ in range(3 * FILES):
            stack.enter_context(connect(page, begun))
        for path in ("/health", "/metrics", f"/d/{INSIGHTS.uid}"):
            assert ask(page, path)[0] == 200
        with Viewer(page.port, INSIGHTS.uid) as other:
            other.next()
        # The viewer that came first is still served
        for _ in range(5):
            viewer.next()
    assert "system resource" not in page.log
    assert len(page.log) < 20_000


def test_what_never_becomes_a_request_is_closed(page: Site) -> None:
    with contextlib.ExitStack() as stack:
        slow = stack.enter_context(connect(page, GET))
        others = [stack.enter_context(connect(page, sent)) for sent in BEGUN.values()]

        def are_closed() -> bool:
            # A client that sends a byte now and then doesn't count as a request either
            with contextlib.suppress(OSError):
                slow.sendall(b"x")
            return is_closed(slow) and all(is_closed(other) for other in others)

        eventually(are_closed, "all are closed")
        assert ask(page, "/health")[0] == 200


def test_more_viewers_than_may_be_are_told_to_come_later(page: Site) -> None:
    with contextlib.ExitStack() as stack:
        viewers: list[Viewer] = []
        while ask(page, "/")[0] != 503:
            viewer = stack.enter_context(Viewer(page.port, INSIGHTS.uid))
            viewer.next()
            viewers.append(viewer)
            assert len(viewers) < FILES
        assert len(viewers) > FILES // 4
        status, text, headers = ask(page, f"/d/{INSIGHTS.uid}/values")
        assert (status, headers["Retry-After"]) == (503, "10")
        assert text == "The page has as many viewers as it may: try again in a while.\n"
        assert headers["Content-Security-Policy"]
        # A full page still answers the supervisor and Prometheus
        assert ask(page, "/health")[0] == 200
        assert metric(page, "firstclick_page_turned_away_total") >= 2
        assert metric(page, "firstclick_page_viewers") == len(viewers)
        for viewer in viewers:
            viewer.next()
        # Unfinished requests don't take the room of these viewers either
        for _ in range(FILES):
            stack.enter_context(connect(page, GET))
        assert ask(page, "/health")[0] == 200
        for viewer in viewers:
            viewer.next()
    eventually(lambda: ask(page, f"/d/{INSIGHTS.uid}")[0] == 200, "there is room again")


def test_who_does_not_read_is_closed(page: Site) -> None:
    request = f"GET /d/{INSIGHTS.uid} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", page.port))
        deaf.sendall(1000 * request)
        eventually(
            lambda: metric(page, "firstclick_page_connections") == 2, "it is served"
        )
        eventually(
            lambda: metric(page, "firstclick_page_closed_connections_total") == 1,
            "it is closed",
        )
    assert "ERROR" not in page.log


def test_a_head_without_an_end_is_refused(page: Site) -> None:
    for many in (b"X-Long: " + 300_000 * b"x", 30_000 * b"X-Many: x\r\n"):
        with connect(page) as connected, contextlib.suppress(ConnectionError):
            connected.sendall(GET + many)
            assert connected.recv(12) == b"HTTP/1.1 400"
    assert ask(page, "/health")[0] == 200


def test_requests_on_one_connection_are_answered_one_after_the_other(
    page: Site,
) -> None:
    with connect(
        page, 500 * (GET + b"\r\n") + GET + b"Connection: close\r\n\r\n"
    ) as one:
        answers = one.makefile("rb").read()
    assert answers.count(b"HTTP/1.1 200 OK") == 501


def test_a_thousand_quick_connections_leave_nothing(page: Site) -> None:
    for _ in range(1000):
        connect(page).close()
    eventually(
        lambda: metric(page, "firstclick_page_connections") == 1, "nothing is left"
    )
    assert len(page.log) < 20_000


def test_one_address_can_not_take_all_the_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connections = Connections(logging.getLogger("page"), 1024)
    for _ in range(connections.most_of_one):
        assert connections.begin("192.0.2.1")
    assert not connections.begin("192.0.2.1")
    assert connections.begin("192.0.2.2")
    # The loopback address has no such limit: a proxy connects from there
    while connections.begin("127.0.0.1"):
        pass
    connections.end("192.0.2.1")
    assert connections.begin("192.0.2.1")
    assert "turned away" in caplog.text
