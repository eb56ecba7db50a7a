"""HTTP connections to permitted addresses only, with deadlines, and without any automatic repeat.

``Egress`` makes the connections; Host header, SNI and certificate use the name as usual.
Source: docs/design.md sections 3.7 and 9.
"""

import socket
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property
from threading import Lock
from typing import cast
from urllib.parse import urlsplit
from weakref import finalize

import certifi
from msgspec import Struct
from requests import PreparedRequest

from shared.adapters.connection import Connection, HttpReply, written
from shared.adapters.http.egress import Egress, NotSentError, TimedSocket
from shared.domain.redacted import Redacted

CONNECT_SECONDS = 10.0
"""The longest time to connect, including name resolution and TLS, unless the call itself has less."""

MAX_IDLE_SECONDS = 4.0
"""After this idle time a kept connection is not used again: many servers close theirs after 5 s."""

_HOSTS_KEPT = 16
# A runner makes one call at a time.
_CONNECTIONS_KEPT = 2
_PORTS = {"http": 80, "https": 443}


class _Origin(Struct, frozen=True):
    """Where a URL leads. ``host`` is in lower case."""

    scheme: str
    host: str
    port: int

    @property
    def name(self) -> str:
        """Return the host as its certificate names it."""
        return self.host.rstrip(".")

    @property
    def host_header(self) -> str:
        """Return the host with its port, unless that is the usual one."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"


class Message(Redacted, Struct, frozen=True):
    """A request as it is sent, and where it goes."""

    HIDDEN = ("content",)

    origin: _Origin
    content: bytes


class _Kept(Struct, frozen=True):
    """A connection that can take another request, and when it took the last one."""

    connection: Connection
    used_at: float


class _TimedTlsSocket(TimedSocket, ssl.SSLSocket):
    """A timed socket with TLS."""


class GuardedConnections:
    """Sends requests over connections that ``egress`` makes, and keeps these.

    Redirects are not followed, nothing is repeated, and nothing is taken from the environment: no proxies and no
    ``.netrc``. ``max_body`` is the longest body of an answer that is read. ``ca_file`` holds the trusted certificates;
    None means certifi's.
    """

    def __init__(self, egress: Egress, *, max_body: int, ca_file: str | None = None) -> None:
        self._egress = egress
        self._max_body = max_body
        self._ca_file = ca_file
        self._lock = Lock()
        self._kept: OrderedDict[_Origin, list[_Kept]] = OrderedDict()
        finalize(self, _close_all, self._kept)

    def send(self, message: Message, *, seconds: float) -> HttpReply:
        """Send a request and return its answer, all within so many seconds.

        Raises: NotSentError; BrokenAnswerError, OSError: the request may have taken effect.
        """
        until = self._egress.seconds() + seconds
        origin = message.origin
        connection = self._kept_connection(origin) or self._connected(origin, until)
        timed = cast(TimedSocket, connection.socket)
        timed.seconds, timed.until = self._egress.seconds, until
        used_at = self._egress.seconds()
        try:
            return connection.exchange(message.content, max_body=self._max_body)
        finally:
            self._keep(origin, _Kept(connection, used_at))

    def close(self) -> None:
        """Close the kept connections."""
        with self._lock:
            _close_all(self._kept)

    def _kept_connection(self, origin: _Origin) -> Connection | None:
        """Return a kept connection that is fresh and that the service has not closed, if there is one."""
        while True:
            with self._lock:
                kept = self._kept.get(origin)
                if not kept:
                    return None
                found = kept.pop()
            is_fresh = self._egress.seconds() - found.used_at <= MAX_IDLE_SECONDS
            if is_fresh and found.connection.is_quiet:
                return found.connection
            found.connection.close()

    def _keep(self, origin: _Origin, used: _Kept) -> None:
        """Keep a connection, if it may be kept, and close those of the origin that was called least recently."""
        dropped: list[_Kept] = []
        with self._lock:
            kept = self._kept.setdefault(origin, [])
            self._kept.move_to_end(origin)
            if used.connection.may_be_kept and len(kept) < _CONNECTIONS_KEPT:
                kept.append(used)
            else:
                dropped.append(used)
            # Sorted by last use.
            if len(self._kept) > _HOSTS_KEPT:
                dropped += self._kept.popitem(last=False)[1]
        _close(dropped)

    def _connected(self, origin: _Origin, until: float) -> Connection:
        """Return a new connection. Raises: NotSentError."""
        until = min(until, self._egress.seconds() + CONNECT_SECONDS)
        _check_name(origin.name)
        try:
            found: socket.socket = self._egress.connected(origin.host, origin.port, until)
            if origin.scheme == "https":
                found.settimeout(max(0.001, until - self._egress.seconds()))
                found = self._tls.wrap_socket(found, server_hostname=origin.name)
        except OSError as error:
            raise NotSentError(f"{origin.name}: {_message(error)}") from error
        return Connection(found)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca_file or certifi.where())
        context.set_alpn_protocols(["http/1.1"])
        context.sslsocket_class = _TimedTlsSocket
        return context


def message_of(request: PreparedRequest) -> Message:
    """Return a request as it is sent. Raises: ValueError: HTTP cannot express it, or it goes to no host."""
    origin = _origin_of(request.url or "")
    headers: Mapping[str, str] = request.headers
    if "Host" not in headers:
        headers = {"Host": origin.host_header, **headers}
    body = request.body if isinstance(request.body, bytes) else b""
    return Message(origin, written(request.method or "", request.path_url, headers, body))


def _origin_of(url: str) -> _Origin:
    """Return the origin of a URL. Raises: ValueError: it has none, or is neither http nor https."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("not the URL of a service")
    return _Origin(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])


def _check_name(name: str) -> None:
    """Raise NotSentError if no host can have this name. TLS would find out only after it has taken the socket."""
    try:
        name.encode("idna")
    except UnicodeError as error:
        raise NotSentError(f"{name} cannot be the name of a host") from error


def _close(kept: list[_Kept]) -> None:
    for one in kept:
        one.connection.close()


def _close_all(kept: OrderedDict[_Origin, list[_Kept]]) -> None:
    while kept:
        _close(kept.popitem()[1])


def _message(error: OSError) -> str:
    """Return why there is no connection, without anything from the request."""
    if isinstance(error, TimeoutError):
        return "connecting timed out"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason}"
    return error.strerror or f"connecting failed: {type(error).__name__}"
