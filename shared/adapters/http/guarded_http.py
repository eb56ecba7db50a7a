"""HTTP connections that go only where they may, end in time, and never repeat anything by themselves.

Connections are made by a ``WayOut``; host, SNI and certificate go by the name as ever.
Source: design sections 3.7 and 9.
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

from shared.adapters.http.egress import NotSentError, TimedSocket, WayOut

CONNECT_SECONDS = 10.0
"""The longest a connection may take, with its name and its TLS, where the call itself has not less."""

MAX_IDLE_SECONDS = 4.0
"""A kept connection idle for longer is not used again: many servers close theirs after 5 s."""

_HOSTS_KEPT = 16


class _TimedTlsSocket(TimedSocket, ssl.SSLSocket):
    """The same under TLS."""


class _Connection(HTTPConnection):
    """A connection made by a ``WayOut``; each request on it ends within its timeout, connecting included."""

    def __init__(self, *args: Any, way_out: WayOut, **kwargs: Any) -> None:  # noqa: ANN401 - urllib3's
        super().__init__(*args, **kwargs)
        self._way_out = way_out
        self._until: float | None = None
        self._used_at = -math.inf

    def connect(self) -> None:
        """Raises: NotSentError."""
        self._until = self._ends_at()
        try:
            super().connect()
        except OSError as error:
            raise NotSentError(f"{self.host}: {_told(error)}") from error
        self._limit(self._until)

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - urllib3's
        if self.sock is not None and self._until is None:
            self._limit(self._ends_at())
        super().request(*args, **kwargs)

    def getresponse(self) -> Any:  # noqa: ANN401 - urllib3's response
        self._until = None
        self._used_at = self._way_out.seconds()
        return super().getresponse()

    @property
    def is_connected(self) -> bool:
        """Whether the next request may go over this connection: it is open, and not long idle."""
        idle = self._way_out.seconds() - self._used_at
        return idle <= MAX_IDLE_SECONDS and super().is_connected

    def _new_conn(self) -> socket.socket:
        until = min(self._until or 0.0, self._way_out.seconds() + CONNECT_SECONDS)
        found = self._way_out.connected(self._dns_host.strip("[]"), self.port, until)
        found.settimeout(max(0.001, until - self._way_out.seconds()))  # what TLS may take
        return found

    def _ends_at(self) -> float:
        return self._way_out.seconds() + (self.timeout or 0.0)

    def _limit(self, until: float) -> None:
        timed = cast(TimedSocket, self.sock)
        timed.seconds = self._way_out.seconds
        timed.until = until


class _TlsConnection(_Connection, HTTPSConnection):
    """The same under TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    """What ``requests`` sends through. Repeats nothing."""

    def __init__(self, way_out: WayOut, ca_file: str | None) -> None:
        self._way_out = way_out
        self._ca_file = ca_file
        super().__init__(pool_connections=_HOSTS_KEPT, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as requests has it
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": partial(_Pool, way_out=self._way_out),
            "https": partial(_TlsPool, way_out=self._way_out),
        }

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as above
        host, pool = super().build_connection_pool_key_attributes(*args, **kwargs)
        return host, {**pool, "ssl_context": self._tls} if host["scheme"] == "https" else pool

    def cert_verify(self, *args: Any) -> None:  # noqa: ANN401 - as above
        """Nothing: the context holds the trusted certificates, loaded once and not per connection."""

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca_file or DEFAULT_CA_BUNDLE_PATH)
        context.sslsocket_class = _TimedTlsSocket
        return context


class _Session(requests.Session):
    """Follows no redirect, nor reads one's body to find out where it would lead."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - the answer never matters
        return None


def guarded_session(way_out: WayOut, *, ca_file: str | None = None) -> requests.Session:
    """A session whose every connection is made by the way out; it takes nothing from the environment.

    No proxies, no ``.netrc``, no cookies kept. ca_file: the trusted certificates, None for certifi's.
    From here on urllib3 logs no URLs in this process, because they may hold secrets.
    """
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
    logging.getLogger("urllib3.connection").setLevel(logging.ERROR)
    session = _Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.headers.clear()
    session.headers.update({"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "Ritornello"})
    adapter = _Adapter(way_out, ca_file)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _told(error: OSError) -> str:
    """Why there is no connection, without anything the request holds."""
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS: {error.reason}"
    return error.strerror or f"no connection: {type(error).__name__}"
