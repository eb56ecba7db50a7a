"""A request as the operations of every dialect see it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.api.http.route import Principal
from shared.api.http.strict_json import canonical, strict_json
from shared.application.ports import Ports, SecretHasher
from shared.application.start import Repeatable
from shared.domain.instance.verdict import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment as one of its containers sees it.

    up_seconds: the age of the container.
    connector_timezone: the zone of a process's dates if neither its request nor its strategy names one.
    joc_allow_unscoped: a JOC command without orders, workflows and folders means every order.
    joc_force_comments: every JOC command must say why.
    """

    environment: str
    stage: str
    up_seconds: float
    connector_timezone: str
    joc_allow_unscoped: bool
    joc_force_comments: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A request before it is known who sent it.

    headers: by their names in lower case. text: the body as sent. now: the time of the request.
    last_wins: the member of the body in which a name may come twice; the last one counts.
    """

    ports: Ports
    hasher: SecretHasher
    deployment: Deployment
    headers: Mapping[str, str]
    query: Mapping[str, str]
    text: bytes
    now: datetime
    last_wins: str | None = None

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return the body. Raises: InvalidInputError: it is no JSON."""
        return strict_json(self.text, last_wins=self.last_wins)

    def sent_by(self, principal: Principal) -> "Request":
        """Return the request of this caller."""
        return Request(
            ports=self.ports,
            hasher=self.hasher,
            deployment=self.deployment,
            headers=self.headers,
            query=self.query,
            text=self.text,
            now=self.now,
            last_wins=self.last_wins,
            principal=principal,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Incoming):
    """A request whose caller is known and may make it."""

    principal: Principal

    @property
    def actor(self) -> Actor:
        """The caller, with the reason in ``Audit-Comment``, for the audit trail."""
        return Actor(name=self.principal.key_id, reason=self.headers.get("audit-comment") or None)

    def repeatable(self, *scope: str) -> Repeatable | None:
        """Return under which ``Idempotency-Key`` the request may be sent again, or None if it has none.

        scope: what tells it from another request besides the body.
        """
        key = self.headers.get("idempotency-key")
        if key is None:
            return None
        body = canonical(self.json() if self.text else {})
        return Repeatable(key=key, body_hash=self.hasher.hash("\0".join((*scope, body))))


def body_of(event: Mapping[str, Any]) -> bytes:
    """Return the body of an API Gateway event as it was sent; empty if it has none."""
    text = event.get("body") or ""
    return base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()
