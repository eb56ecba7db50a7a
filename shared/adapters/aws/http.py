"""HTTP requests to one host over kept connections. Nothing is repeated here."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Protocol
from urllib.parse import urlsplit

import certifi
import urllib3
from urllib3.exceptions import HTTPError

from shared.adapters.aws.errors import UnansweredError

_SCHEMES = ("http", "https")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a request may take: seconds to connect, and between two reads."""

    connect: float
    read: float


class Transport(Protocol):
    """Sends requests to one service. It is thread-safe."""

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send a request and return its answer. Raises: UnansweredError."""

    def close(self) -> None:
        """Close the connections."""


@cache
def _tls(authorities: str) -> ssl.SSLContext:
    """Return the settings of TLS that all connections share: reading the authorities takes some milliseconds."""
    return ssl.create_default_context(cafile=authorities)


class HttpTransport:
    """A ``Transport`` on a pool of ``urllib3``. It connects at the first request.

    Certificates are verified, against ``AWS_CA_BUNDLE`` if that is set. Proxies are those of the environment.
    """

    def __init__(
        self, url: str, *, patience: Patience, connections: int, environment: Mapping[str, str]
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise ValueError(f"not the URL of a service: {url}")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._patience, self._connections = patience, connections
        is_secure = parts.scheme == "https"
        self._authorities = (environment.get("AWS_CA_BUNDLE") or certifi.where()) if is_secure else None
        self._proxy = _proxy(parts.scheme, parts.hostname, environment)
        # A proxy is told the whole URL, unless it passes TLS through.
        self._prefix = "" if self._proxy is None or is_secure else self.url

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        try:
            answer = self._pool.urlopen(
                method,
                self._prefix + path,
                body=body,
                headers=headers,
                redirect=False,
                assert_same_host=False,
            )
            # A body that ends too early is an error, too.
            return Reply(
                status=answer.status,
                headers={name.lower(): value for name, value in answer.headers.items()},
                body=answer.data,
            )
        except (HTTPError, OSError) as error:
            raise UnansweredError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        self._pool.close()

    @cached_property
    def _pool(self) -> urllib3.HTTPConnectionPool:
        options: dict[str, Any] = {
            "maxsize": self._connections,
            "timeout": urllib3.Timeout(connect=self._patience.connect, read=self._patience.read),
            "retries": False,
        }
        if self._authorities is not None:
            options["ssl_context"] = _tls(self._authorities)
        manager = (
            urllib3.ProxyManager(self._proxy, **options) if self._proxy else urllib3.PoolManager(**options)
        )
        return manager.connection_from_url(self.url)


def _proxy(scheme: str, host: str, environment: Mapping[str, str]) -> str | None:
    """Return the URL of the proxy for a host, or None. Names of variables are in upper or lower case."""
    lower = {name.lower(): value for name, value in environment.items()}
    proxy = lower.get(f"{scheme}_proxy")
    if not proxy:
        return None
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # noqa: PLC0415 - seldom needed

    return None if proxy_bypass_environment(host, {"no": lower.get("no_proxy", "")}) else proxy
