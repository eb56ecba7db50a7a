"""HTTP connections to permitted addresses only, with deadlines, and without any automatic repeat.

``Egress`` makes the connections; Host header, SNI and certificate use the name as usual.
Source: docs/design.md sections 3.7 and 9.
"""

import logging
import math
import socket
import ssl
from functools import cached_property, partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from shared.adapters.http.egress import Egress, NotSentError, TimedSocket

CONNECT_SECONDS = 10.0
"""The longest time to connect, including name resolution and TLS, unless the call itself has less."""

MAX_IDLE_SECONDS = 4.0
"""After this idle time a kept connection is not used again: many servers close theirs after 5 s."""

_HOSTS_KEPT = 16


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


class _Adapter(HTTPAdapter):
    """The adapter that ``requests`` sends through. It never retries."""

    def __init__(self, egress: Egress, ca_file: str | None) -> None:
        self._egress = egress
        self._ca_file = ca_file
        super().__init__(pool_connections=_HOSTS_KEPT, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as requests has it
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": partial(_Pool, egress=self._egress),
            "https": partial(_TlsPool, egress=self._egress),
        }

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as above
        host, pool = super().build_connection_pool_key_attributes(*args, **kwargs)
        return host, {**pool, "ssl_context": self._tls} if host["scheme"] == "https" else pool

    def cert_verify(self, *args: Any) -> None:  # noqa: ANN401 - as above
        """Do nothing: the TLS context holds the trusted certificates, loaded once instead of per connection."""

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca_file or DEFAULT_CA_BUNDLE_PATH)
        context.sslsocket_class = _TimedTlsSocket
        return context


class _Session(requests.Session):
    """A session that follows no redirect, and does not read a redirect's body."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - the answer never matters
        return None


def guarded_session(egress: Egress, *, ca_file: str | None = None) -> requests.Session:
    """Return a session that connects through ``egress`` only and takes nothing from the environment.

    It uses no proxies and no ``.netrc``, and keeps no cookies. ``ca_file`` holds the trusted certificates; None means
    certifi's.
    """
    # From here on urllib3 logs no URLs in this process, because they may contain secrets.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
    logging.getLogger("urllib3.connection").setLevel(logging.ERROR)
    session = _Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.headers.clear()
    session.headers.update({"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "Ritornello"})
    adapter = _Adapter(egress, ca_file)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _message(error: OSError) -> str:
    """Return why there is no connection, without anything from the request."""
    if isinstance(error, TimeoutError):
        return "connecting timed out"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason}"
    return error.strerror or f"connecting failed: {type(error).__name__}"
