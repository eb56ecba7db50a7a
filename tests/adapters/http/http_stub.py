"""A service on a real socket that answers with prepared bytes."""

import json
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

from shared.adapters.http.service_caller import HttpServiceCaller
from shared.application.ports import ServiceCaller
from shared.domain.steps.call import Answered, CallOutcome, Credential, ServiceRequest
from shared.domain.strategy.model import Authorization


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as received."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Script = bytes | Callable[[socket.socket], object]
"""An answer: bytes to send, or a function of the connection."""


def answer(body: bytes | Any = b"", status: int = 200, **headers: str) -> bytes:
    """Return an answer that keeps the connection open. A body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Content-Length": str(len(content)), **{k.replace("_", "-"): v for k, v in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status} Reason\r\n{head}\r\n".encode("latin-1") + content


@dataclass(slots=True)
class Stub:
    """A service that answers each request with the next script, and repeats the last one."""

    listener: socket.socket
    port: int
    scripts: list[Script]
    tls: ssl.SSLContext | None = None
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    stopped: Event = field(default_factory=Event)
    open: list[socket.socket] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)

    def url(self, path: str = "/", *, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def wait(self, seconds: float) -> None:
        """Wait in a script, but no longer than the test takes."""
        self.stopped.wait(seconds)

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(connection)
            thread = Thread(target=self._converse, args=(connection,))
            self.threads.append(thread)
            thread.start()

    def stop(self) -> None:
        self.stopped.set()
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _converse(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        with suppress(OSError), connection:
            talking = connection
            if self.tls is not None:
                talking = self.tls.wrap_socket(connection, server_side=True)
                self.open.append(talking)
            with talking, talking.makefile("rb") as incoming:
                while (seen := _request(incoming)) is not None:
                    self.seen.append(seen)
                    script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
                    if callable(script):
                        script(talking)
                        return
                    talking.sendall(script)


@contextmanager
def serving(*scripts: Script, tls: ssl.SSLContext | None = None) -> Iterator[Stub]:
    """Run a service during the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    stub = Stub(listener, port, list(scripts or (answer({"ok": True}),)), tls)
    thread = Thread(target=stub.serve)
    thread.start()
    try:
        yield stub
    finally:
        stub.stop()
        thread.join(10)
        for one in stub.threads:
            one.join(10)


def a_request(url: str, **changes: Any) -> ServiceRequest:
    given: dict[str, Any] = {
        "method": "post",
        "headers": {"Idempotency-Key": "i-1-1-1"},
        "params": {},
        "body": {"fee": 39},
        "timeout_seconds": 5,
        "call_key": "i-1-1-1",
    }
    return ServiceRequest(url=url, **{**given, **changes})


def a_credential(
    url: str, *, path: str | None = "access_token", scheme: str | None = "Bearer", **request: Any
) -> Credential:
    given: dict[str, Any] = {"method": "post", "data": {"client_id": "c", "client_secret": "hush-client"}}
    return Credential(request=Authorization(url=url, **{**given, **request}), path=path, scheme=scheme)


def called(caller: ServiceCaller, *scripts: Script, **changes: Any) -> CallOutcome:
    """Return the outcome of one call to a service with these answers."""
    with serving(*scripts) as service:
        return caller.call(a_request(service.url(), **changes))


def seen(caller: ServiceCaller, path: str = "/", **changes: Any) -> Seen:
    """Return one call as its service received it."""
    with serving() as service:
        assert caller.call(a_request(service.url(path), **changes)) == Answered(status=200, body={"ok": True})
        (request,) = service.seen
        return request


def reset(connection: socket.socket) -> None:
    """Close the connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def sending(content: bytes, then: Callable[[socket.socket], object] = lambda _: None) -> Script:
    """Return a script that sends the content, calls ``then``, and closes the connection."""

    def script(connection: socket.socket) -> None:
        connection.sendall(content)
        then(connection)

    return script


Make = Callable[..., HttpServiceCaller]
"""Makes a caller that may go to this machine; it is closed after the test."""


def _request(incoming: Any) -> Seen | None:
    line = incoming.readline().decode("latin-1").split()
    if not line:
        return None
    headers: dict[str, str] = {}
    while (header := incoming.readline().decode("latin-1").strip()) != "":
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    body = incoming.read(int(headers.get("content-length", 0)))
    return Seen(line[0], line[1], headers, body)
