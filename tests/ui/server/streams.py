"""A viewer without a browser, which reads the stream of values line by line."""

import json
import socket
from typing import Any
from urllib.parse import quote

Message = dict[str, Any]


class Viewer:
    """A connection that reads a dashboard's stream until the block ends."""

    def __init__(self, port: int, uid: str, span: str = "1 hour") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 20)
        path = f"/d/{uid}/values?var-span={quote(span)}"
        self._socket.sendall(
            f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        )
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> "Viewer":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        self._socket.close()

    def next(self) -> tuple[str, Any]:
        """Wait for the next event and return its name and data."""
        name = ""
        for line in self._file:
            if line.startswith(b"event: "):
                name = line[7:].strip().decode()
            elif line.startswith(b"data: "):
                return name, json.loads(line[6:])
        raise AssertionError("the stream ended")

    def panels(self, count: int) -> list[Message]:
        """Wait for the next ``count`` messages of panels and return them."""
        found: list[Message] = []
        while len(found) < count:
            name, data = self.next()
            if name == "panel":
                found.append(data)
        return found
