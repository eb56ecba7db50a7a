"""An HTTP proxy between our code and the emulator, which can throttle, reset, delay, and lose replies."""

import http.client
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from dev.chaos.faults import Disturb, Disturbance
from dev.local_guard import LocalGuard

_UPSTREAM_SECONDS = 30
_SLOW_SECONDS = (0.3, 2.0)
_HOP = ("connection", "content-length", "date", "keep-alive", "server", "transfer-encoding")

_DYNAMODB = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"


class Proxy:
    """Forwards to a server on this machine, and disturbs a share of the requests while it is said to."""

    def __init__(self, upstream: str, *, port: int, seed: int) -> None:
        self._upstream = urlsplit(upstream)
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._disturb: Disturb | None = None
        self._until = 0.0
        self.disturbed: Counter[Disturbance] = Counter()
        self._server = _Server(port, self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.guard = LocalGuard(port=self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def disturb(self, disturb: Disturb) -> None:
        """Disturb requests from now on for as long as ``disturb`` says. The last one counts."""
        with self._lock:
            self._disturb, self._until = disturb, time.monotonic() + disturb.seconds

    def heal(self) -> None:
        """Disturb no more requests."""
        with self._lock:
            self._disturb = None

    def stop(self) -> None:
        """Release the port."""
        self._server.shutdown()
        self._server.server_close()

    def next_disturbance(self) -> Disturbance | None:
        """Return the disturbance of the next request, or None to forward it."""
        with self._lock:
            current = self._disturb
            if current is None or time.monotonic() > self._until or self._random.random() > current.share:
                return None
            self.disturbed[current.how] += 1
            return current.how

    def slow_seconds(self) -> float:
        """Return by how much a slow request is delayed."""
        with self._lock:
            return self._random.uniform(*_SLOW_SECONDS)

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection to the server behind."""
        host, port = self._upstream.hostname or "127.0.0.1", self._upstream.port
        return http.client.HTTPConnection(host, port, timeout=_UPSTREAM_SECONDS)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, proxy: Proxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that are killed break their connections."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server
    upstream: http.client.HTTPConnection | None = None

    def log_message(self, *_: object) -> None:
        """Say nothing: it is only in between."""

    def handle(self) -> None:
        """Serve one connection."""
        try:
            super().handle()
        finally:
            if self.upstream is not None:
                self.upstream.close()

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        refusal = self.server.proxy.guard.refusal(
            self.command, {name.lower(): value for name, value in self.headers.items()}
        )
        if refusal is not None:
            return self._reply(HTTPStatus.FORBIDDEN, [], json.dumps({"message": refusal}).encode())
        how = self.server.proxy.next_disturbance()
        if how is Disturbance.RESET:
            return self._reset()
        if how is Disturbance.THROTTLE:
            return self._throttle()
        if how is Disturbance.SLOW:
            time.sleep(self.server.proxy.slow_seconds())
        try:
            status, headers, answer = self._exchange(body)
        except (OSError, http.client.HTTPException):
            return self._reset()
        if how is Disturbance.LOST_REPLY:
            return self._reset()
        return self._reply(status, headers, answer)

    def _exchange(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        if self.upstream is None:
            self.upstream = self.server.proxy.connect()
        # The server behind answers only requests that name it; this one has checked that they name this one.
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        self.upstream.request(self.command, self.path, body=body, headers=headers)
        response = self.upstream.getresponse()
        return response.status, response.getheaders(), response.read()

    def _throttle(self) -> None:
        if "x-amz-target" in self.headers:
            said = {"__type": _DYNAMODB, "message": "throttled by make chaos"}
            return self._reply(HTTPStatus.BAD_REQUEST, [], json.dumps(said).encode())
        kind = "TooManyRequestsException" if "/functions/" in self.path else "ThrottlingException"
        said = {"message": "throttled by make chaos"}
        return self._reply(
            HTTPStatus.TOO_MANY_REQUESTS, [("x-amzn-errortype", kind)], json.dumps(said).encode()
        )

    def _reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        # With a linger time of zero, closing sends RST instead of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815 - the library's names
