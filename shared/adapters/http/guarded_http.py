"""HTTP connections to permitted addresses only, with deadlines, and without any automatic repeat.

``Egress`` makes the connections; Host header, SNI and certificate use the name as usual.
Source: docs/design.md sections 3.7 and 9.
"""

import logging
import math
import socket
import ssl
from collections import OrderedDict
from functools import cached_property
from threading import Lock
from typing import Any, cast
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationValueError

from shared.adapters.http.egress import Egress, NotSentError, TimedSocket

CONNECT_SECONDS = 10.0
"""The longest time to connect, including name resolution and TLS, unless the call itself has less."""

MAX_IDLE_SECONDS = 4.0
"""After this idle time a kept connection is not used again: many servers close theirs after 5 s."""

_HOSTS_KEPT = 16
# A runner makes one call at a time.
_CONNECTIONS_KEPT = 2


class _TimedTlsSocket(TimedSocket, ssl.SSLSocket):
    """A timed socket with TLS."""


class _Connection(HTTPConnection):
    """A connection made by ``Egress``. Each request on it ends within its timeout, connecting included."""

    def __init__(self, *args: Any, egress: Egress, **kwargs: Any) -> None:  # noqa: ANN401 - urllib3's
        super().__init__(*args, **kwargs)
        self._egress = egress
        self._until: float | None = None
        self._used_at = -math.inf

    def connect(self) -> None:
        """Connect. Raises: NotSentError."""
        self._until = self._ends_at()
        try:
            super().connect()
        except OSError as error:
            raise NotSentError(f"{self.host}: {_message(error)}") from error
        self._limit(self._until)

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - urllib3's
        if self.sock is not None and self._until is None:
            self._limit(self._ends_at())
        super().request(*args, **kwargs)

    def getresponse(self) -> Any:  # noqa: ANN401 - urllib3's response
        self._until = None
        self._used_at = self._egress.seconds()
        return super().getresponse()

    @property
    def is_connected(self) -> bool:
        """Return whether the next request may use this connection: it is open and was not idle for long."""
        idle = self._egress.seconds() - self._used_at
        return idle <= MAX_IDLE_SECONDS and super().is_connected

    def _new_conn(self) -> socket.socket:
        until = min(self._until or 0.0, self._egress.seconds() + CONNECT_SECONDS)
        found = self._egress.connected(self._dns_host.strip("[]"), self.port, until)
        found.settimeout(max(0.001, until - self._egress.seconds()))  # what TLS may take
        return found

    def _ends_at(self) -> float:
        return self._egress.seconds() + (self.timeout or 0.0)

    def _limit(self, until: float) -> None:
        timed = cast(TimedSocket, self.sock)
        timed.seconds = self._egress.seconds
        timed.until = until


class _TlsConnection(_Connection, HTTPSConnection):
    """A connection with TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class GuardedAdapter(HTTPAdapter):
    """A transport adapter of ``requests`` that connects through ``egress`` only.

    It is used without a session of ``requests``, so it follows no redirect, keeps no cookies, and takes nothing from
    the environment: no proxies and no ``.netrc``. It never retries. ``ca_file`` holds the trusted certificates; None
    means certifi's.
    """

    def __init__(self, egress: Egress, *, ca_file: str | None = None) -> None:
        # From here on urllib3 logs no URLs in this process, because they may contain secrets.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
        logging.getLogger("urllib3.connection").setLevel(logging.ERROR)
        self._egress = egress
        self._ca_file = ca_file
        self._lock = Lock()
        self._pools: OrderedDict[tuple[str, str, int | None], HTTPConnectionPool] = OrderedDict()
        super().__init__(max_retries=0)

    def get_connection_with_tls_context(
        self,
        request: PreparedRequest,
        *_: Any,  # noqa: ANN401 - as requests has it
        **__: Any,  # noqa: ANN401 - as above
    ) -> HTTPConnectionPool:
        """Return the pool of the URL's origin. Raises: LocationValueError, ValueError: it has none."""
        # The library's own way through settings and pool keys takes longer than the rest of a request.
        parts = urlsplit(request.url or "")
        if not parts.hostname:
            raise LocationValueError("no host")
        origin = (parts.scheme, parts.hostname, parts.port)
        with self._lock:
            pool = self._pools.get(origin) or self._new_pool(*origin)
            self._pools[origin] = pool
            # Sorted by last use. The connections of a dropped pool close with its last response.
            self._pools.move_to_end(origin)
            if len(self._pools) > _HOSTS_KEPT:
                self._pools.popitem(last=False)
            return pool

    def cert_verify(self, *args: Any) -> None:  # noqa: ANN401 - as above
        """Do nothing: the TLS context holds the trusted certificates, loaded once instead of per connection."""

    def request_url(self, request: PreparedRequest, *_: Any) -> str:  # noqa: ANN401 - as above
        """Return path and query, because there is never a proxy."""
        return request.path_url

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:  # noqa: ANN401 - as above
        """Return the response with what ``exchange`` reads of it: no cookies, and no guessed encoding."""
        response = Response()
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(resp.headers)
        response.raw = resp
        response.request = req
        return response

    def close(self) -> None:
        """Close the kept connections."""
        with self._lock:
            pools = list(self._pools.values())
            self._pools.clear()
        for pool in pools:
            pool.close()

    def _new_pool(self, scheme: str, host: str, port: int | None) -> HTTPConnectionPool:
        if scheme == "https":
            return _TlsPool(
                host,
                port,
                maxsize=_CONNECTIONS_KEPT,
                cert_reqs=ssl.CERT_REQUIRED,
                ssl_context=self._tls,
                egress=self._egress,
            )
        return _Pool(host, port, maxsize=_CONNECTIONS_KEPT, egress=self._egress)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca_file or DEFAULT_CA_BUNDLE_PATH)
        context.sslsocket_class = _TimedTlsSocket
        return context


def _message(error: OSError) -> str:
    """Return why there is no connection, without anything from the request."""
    if isinstance(error, TimeoutError):
        return "connecting timed out"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason}"
    return error.strerror or f"connecting failed: {type(error).__name__}"
