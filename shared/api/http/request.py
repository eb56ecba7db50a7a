"""A request as the operations of every dialect get it."""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from shared.api.http.deployment import Deployment
from shared.api.http.route import Principal
from shared.api.http.strict_json import canonical, strict_json
from shared.application.ports import Ports, SecretHasher
from shared.application.start import Repeatable
from shared.domain.instance.verdict import Actor


class Incoming(Struct, frozen=True, kw_only=True):
    """A request before its caller is known.

    ``headers`` have names in lower case, ``text`` is the body as sent, ``now`` the time of the request.
    ``last_wins`` names the member of the body in which repeated names are allowed; the last one counts.
    ``claims`` are those of a token that API Gateway has verified, or None if the API takes no tokens.
    """

    ports: Ports
    hasher: SecretHasher
    deployment: Deployment
    headers: Mapping[str, str]
    query: Mapping[str, str]
    text: bytes
    now: datetime
    last_wins: str | None = None
    claims: Mapping[str, object] | None = None

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return the body. Raises: InvalidInputError: if it is not JSON."""
        return strict_json(self.text, last_wins=self.last_wins)

    def sent_by(self, principal: Principal) -> "Request":
        """Return the request with its caller."""
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


class Request(Incoming, frozen=True, kw_only=True):
    """A request with an authenticated caller."""

    principal: Principal

    @property
    def actor(self) -> Actor:
        """The caller, with the reason in ``Audit-Comment``, for the audit trail."""
        return Actor(name=self.principal.name, reason=self.headers.get("audit-comment") or None)

    def repeatable(self, *scope: str) -> Repeatable | None:
        """Return the ``Idempotency-Key`` with a hash of the request, or None if the request has no key.

        ``scope`` identifies the request besides its body, for example by a strategy.
        """
        key = self.headers.get("idempotency-key")
        if key is None:
            return None
        # Clients may serialize the same body differently when they send it again.
        body = canonical(self.json() if self.text else {})
        return self.repeatable_as(key, "\0".join((*scope, body)))

    def repeatable_as(self, key: str, request: str) -> Repeatable:
        """Return the identity of a request by a key and its text."""
        body_hash, *others = self.hasher.hashes(request)
        return Repeatable(key=key, body_hash=body_hash, other_hashes=tuple(others))


def body_of(event: Mapping[str, Any]) -> bytes:
    """Return the body of an API Gateway event as it was sent, empty if there is none."""
    # API Gateway encodes bodies with a binary content type.
    text = event.get("body") or ""
    return base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()


def claims_of(event: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return the claims of the token that API Gateway verified, or None if the API has no JWT authorizer."""
    # API Gateway alone writes the context of a request; nothing that a client sends gets into it.
    jwt = (event["requestContext"].get("authorizer") or {}).get("jwt")
    return None if jwt is None else jwt.get("claims") or {}
