"""Requests to one host through a proxy of the environment. Lambda has none, so ``urllib3`` is imported only here."""

import ssl
from collections.abc import Mapping
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from shared.adapters.aws.connection import Patience
from shared.adapters.aws.errors import UnansweredError
from shared.adapters.connection import HttpReply


class Proxied:
    """A pool of connections to the host at ``url``, which has no path. They go through a proxy.

    ``tls`` verifies the host; None means that the connections are not encrypted.
    """

    def __init__(
        self, url: str, proxy: str, *, tls: ssl.SSLContext | None, patience: Patience, connections: int
    ) -> None:
        # The proxy needs the whole URL, unless it passes TLS through.
        self._prefix = url if tls is None else ""
        options: dict[str, Any] = {
            "maxsize": connections,
            "timeout": urllib3.Timeout(connect=patience.connect, read=patience.read),
            "retries": False,
        }
        if tls is not None:
            options["ssl_context"] = tls
        self._pool = urllib3.ProxyManager(proxy, **options).connection_from_url(url)

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Send a request and return its answer. Raises: UnansweredError."""
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
            return HttpReply(
                status=answer.status,
                headers={name.lower(): value for name, value in answer.headers.items()},
                body=answer.data,
            )
        except (HTTPError, OSError) as error:
            raise UnansweredError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()
