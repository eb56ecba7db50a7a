"""HTTP requests to one host over kept connections. Nothing is repeated here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
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
        options: dict[str, object] = {
            "maxsize": connections,
            "block": False,
            "timeout": urllib3.Timeout(connect=patience.connect, read=patience.read),
            "retries": False,
        }
        if parts.scheme == "https":
            options["ca_certs"] = environment.get("AWS_CA_BUNDLE") or certifi.where()
        proxy = _proxy(parts.scheme, parts.hostname, environment)
        made = urllib3.PoolManager(**options) if proxy is None else urllib3.ProxyManager(proxy, **options)  # type: ignore[arg-type]
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._pool = made.connection_from_url(self.url)
        self._prefix = self.url if proxy is not None and parts.scheme == "http" else ""

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


def _proxy(scheme: str, host: str, environment: Mapping[str, str]) -> str | None:
    """Return the URL of the proxy for a host, or None. Names of variables are in upper or lower case."""
    lower = {name.lower(): value for name, value in environment.items()}
    proxy = lower.get(f"{scheme}_proxy")
    if not proxy:
        return None
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # noqa: PLC0415 - seldom needed

    return None if proxy_bypass_environment(host, {"no": lower.get("no_proxy", "")}) else proxy
