"""Makes the clients of one process, which share Region and credentials."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

from shared import __version__
from shared.adapters.aws.client import MAX_ATTEMPTS, AwsClient, Refusal, Timing, refusal_of
from shared.adapters.aws.credentials import CredentialSource, credential_source
from shared.adapters.aws.endpoints import region_of, url_of
from shared.adapters.aws.errors import AwsError
from shared.adapters.aws.http import HttpTransport, Patience
from shared.adapters.aws.signing import Signer

USER_AGENT: Final = f"ritornello/{__version__}"
"""The user agent of our requests."""

_LAMBDA = "AWS_LAMBDA_FUNCTION_NAME"
_TRACE = "_X_AMZN_TRACE_ID"


class AwsSession:
    """The clients' common part. Nothing is read or connected before the first client is made.

    ``environment`` is that of the process: Lambda changes a variable of it at each invocation.
    """

    def __init__(self, environment: Mapping[str, str], timing: Timing) -> None:
        """Keep where to read."""
        self._environment = environment
        self._timing = timing

    @cached_property
    def region(self) -> str:
        """Return the Region of all clients. Raises: NoRegionError."""
        return region_of(self._environment)

    def client(
        self,
        service: str,
        *,
        patience: Patience,
        connections: int = 1,
        attempts: int = MAX_ATTEMPTS,
        refusal: Callable[[AwsError], Refusal] = refusal_of,
        url: str | None = None,
    ) -> AwsClient:
        """Return a new client. ``service`` is its name in botocore, which is also that of its URL and signature."""
        url = url or url_of(service, self.region, self._environment)
        parts = urlsplit(url)
        transport = HttpTransport(
            url, patience=patience, connections=connections, environment=self._environment
        )
        return AwsClient(
            service=service,
            host=parts.netloc,
            base=parts.path.rstrip("/"),
            transport=transport,
            signer=Signer(service, self.region),
            credentials=self._credentials,
            timing=self._timing,
            user_agent=USER_AGENT,
            trace=self._trace if _LAMBDA in self._environment else _no_trace,
            attempts=attempts,
            refusal=refusal,
        )

    @cached_property
    def _credentials(self) -> CredentialSource:
        return credential_source(self._environment)

    def _trace(self) -> str | None:
        """Return the trace by which Lambda relates an invocation to its origin. Else it would not see endless loops."""
        return self._environment.get(_TRACE)


def _no_trace() -> None:
    """Return that requests belong to no invocation of Lambda."""
