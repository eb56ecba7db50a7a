"""A connection to a server of AWS, over which requests and answers alternate, on the standard library's HTTP client."""

import ssl
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPSConnection
from select import POLLIN, poll
from typing import Any

from msgspec import Struct


class Reply(Struct, frozen=True, kw_only=True):
    """A whole answer. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Patience(Struct, frozen=True, kw_only=True):
    """How long a request may take: seconds to connect, and between two reads."""

    connect: float
    read: float


class Connection:
    """An open connection. ``may_be_kept`` says whether it can take another request after the last one."""

    def __init__(self, connected: HTTPConnection) -> None:
        self.may_be_kept = True
        self._http = connected
        self._poll = poll()
        self._poll.register(connected.sock, POLLIN)

    @property
    def is_quiet(self) -> bool:
        """Return whether nothing has arrived since the last answer: neither bytes nor the server's end."""
        return not self._poll.poll(0)

    def exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send a request and return its answer, whose end must have arrived.

        Raises: HTTPException, OSError; ValueError: a header has a line break.
        """
        self.may_be_kept = False  # unless all goes well
        self._http.request(method, path, body, dict(headers))
        answer = self._http.getresponse()
        content = answer.read()
        self.may_be_kept = not answer.will_close
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(status=answer.status, headers=named, body=content)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def connect(host: str, port: int, *, tls: ssl.SSLContext | None, patience: Patience) -> Connection:
    """Return a new connection. With ``tls`` the server must prove that it is ``host``. Raises: OSError."""
    timeout: dict[str, Any] = {"timeout": patience.connect}
    http = (
        HTTPConnection(host, port, **timeout)
        if tls is None
        else HTTPSConnection(host, port, context=tls, **timeout)
    )
    try:
        http.connect()
        http.sock.settimeout(patience.read)
        return Connection(http)
    except BaseException:
        http.close()
        raise
