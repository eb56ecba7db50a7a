"""The errors of requests to AWS."""

from collections.abc import Mapping
from typing import Any


class AwsError(Exception):
    """A service refused a request. ``body`` is its answer."""

    def __init__(
        self, *, service: str, operation: str, code: str, status: int, body: Mapping[str, Any]
    ) -> None:
        """Compose the message from the service's own."""
        self.service, self.operation, self.code, self.status, self.body = (
            service,
            operation,
            code,
            status,
            body,
        )
        text = body.get("message") or body.get("Message") or ""
        super().__init__(f"{service} refused {operation}: {code} (HTTP {status}) {text}".rstrip())


class UnansweredError(Exception):
    """A request could not be sent, or got no whole answer. It may have taken effect."""
