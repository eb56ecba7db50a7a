"""HTTP requests to one host over kept connections. Nothing is repeated here."""

import ssl
from collections.abc import Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit
from weakref import finalize

import certifi

from shared.adapters.aws.connection import Patience, connect
from shared.adapters.aws.errors import UnansweredError
from shared.adapters.connection import BrokenAnswerError, Connection, HttpReply, written

if TYPE_CHECKING:
    from shared.adapters.aws.proxied import Proxied

__all__ = ["HttpReply", "HttpTransport", "Patience", "Transport"]

_PORTS = {"http": 80, "https": 443}


class Transport(Protocol):
    """Sends requests to one service. It is thread-safe."""

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Send a request and return its answer. Raises: UnansweredError."""

    def close(self) -> None:
        """Close the connections."""


@cache
def _tls(authorities: str) -> ssl.SSLContext:
    """Return the settings of TLS that all connections share: reading the authorities takes some milliseconds."""
    context = ssl.create_default_context(cafile=authorities)
    context.set_alpn_protocols(["http/1.1"])
    return context


class HttpTransport:
    """A ``Transport`` that connects at the first request and keeps up to ``connections`` connections.

    Certificates are verified, against ``AWS_CA_BUNDLE`` if that is set. Proxies are those of the environment.
    """

    def __init__(
        self, url: str, *, patience: Patience, connections: int, environment: Mapping[str, str]
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(f"not the URL of a service: {url}")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._host, self._port = parts.hostname, parts.port or _PORTS[parts.scheme]
        self._patience, self._connections = patience, connections
        is_secure = parts.scheme == "https"
        self._authorities = (environment.get("AWS_CA_BUNDLE") or certifi.where()) if is_secure else None
        self._proxy = _proxy(parts.scheme, parts.hostname, environment)
        # Threads take one each and put it back, the last one first. Both are atomic.
        self._kept: list[Connection] = []
        finalize(self, _close_all, self._kept)

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        if self._proxy is not None:
            return self._proxied.send(method, path, headers, body)
        framing = {"accept-encoding": "identity", "content-length": str(len(body))}
        request = written(method, path, {**headers, **framing}, body)
        connection: Connection | None = None
        try:
            connection = self._kept_connection() or connect(
                self._host, self._port, tls=self._context, patience=self._patience
            )
            return connection.exchange(request)
        # A name that cannot be one is a ``UnicodeError``.
        except (BrokenAnswerError, OSError, UnicodeError) as error:
            raise UnansweredError(f"{type(error).__name__}: {error}") from error
        finally:
            if connection is not None:
                self._keep(connection)

    def close(self) -> None:
        _close_all(self._kept)
        if "_proxied" in self.__dict__:
            self._proxied.close()

    def _kept_connection(self) -> Connection | None:
        """Return a kept connection that the server has not closed, if there is one."""
        while True:
            try:
                connection = self._kept.pop()
            except IndexError:
                return None
            if connection.is_quiet:
                return connection
            connection.close()

    def _keep(self, connection: Connection) -> None:
        if connection.may_be_kept and len(self._kept) < self._connections:
            self._kept.append(connection)
        else:
            connection.close()

    @property
    def _context(self) -> ssl.SSLContext | None:
        return None if self._authorities is None else _tls(self._authorities)

    @cached_property
    def _proxied(self) -> "Proxied":
        from shared.adapters.aws.proxied import Proxied  # noqa: PLC0415 - imports urllib3, seldom needed

        return Proxied(
            self.url,
            self._proxy or "",
            tls=self._context,
            patience=self._patience,
            connections=self._connections,
        )


def _close_all(connections: list[Connection]) -> None:
    while connections:
        connections.pop().close()


def _proxy(scheme: str, host: str, environment: Mapping[str, str]) -> str | None:
    """Return the URL of the proxy for a host, or None. Names of variables are in upper or lower case."""
    lower = {name.lower(): value for name, value in environment.items()}
    proxy = lower.get(f"{scheme}_proxy")
    if not proxy:
        return None
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # noqa: PLC0415 - seldom needed

    return None if proxy_bypass_environment(host, {"no": lower.get("no_proxy", "")}) else proxy
