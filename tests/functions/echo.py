"""A service on this machine that repeats whatever it is sent, and answers as the test says."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

DROP = 0
"""Instead of a status: the connection is closed without an answer."""


@dataclass
class Echo:
    """The service. ``statuses`` are those of the next calls, then 200. Each answer has the whole request in it.

    ``keys`` are the ``Idempotency-Key`` of the calls, ``received`` all requests with their bodies, tokens included.
    """

    url: str
    statuses: list[int] = field(default_factory=list)
    received: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    @property
    def calls(self) -> list[tuple[str, dict[str, str], str]]:
        """Return the calls without those for tokens."""
        return [one for one in self.received if not one[0].startswith("/token")]

    @property
    def keys(self) -> list[str]:
        return [headers["Idempotency-Key"] for _, headers, _ in self.calls]


@contextmanager
def echoing() -> Iterator[Echo]:
    """Run the service during the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            echo.received.append((self.path, dict(self.headers), text))
            if self.path.startswith("/token"):
                self._send(200, {"access_token": f"t-{len(echo.received)}"})
                return
            status = echo.statuses.pop(0) if echo.statuses else 200
            if status == DROP:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            whole = {"path": self.path, "headers": dict(self.headers), "text": text, "json": json.loads(text)}
            self._send(status, whole)

        def _send(self, status: int, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    echo = Echo(f"http://127.0.0.1:{server.server_port}")
    try:
        yield echo
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
