"""One request of the core dialect, as an operation sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from shared.api.core.deployment import Deployment
from shared.api.core.errors import CoreError, bad_request
from shared.api.core.gate import Gate
from shared.api.http.auth import Principal
from shared.api.http.models import MAX_BODY_BYTES, MAX_COMMENT_CHARACTERS, MAX_KEY_CHARACTERS, M, read_as
from shared.api.http.strict_json import canonical, strict_json
from shared.application.ports import Ports
from shared.application.start import Repeatable
from shared.domain.errors import InvalidInputError, Problem
from shared.domain.instance.verdict import Actor

Answer = tuple[HTTPStatus, Any]
"""A status and a JSON value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request of somebody who has shown a key with the role that the operation asks for."""

    gate: Gate
    principal: Principal
    text: bytes
    query: Mapping[str, str]
    deployment: Deployment

    @property
    def ports(self) -> Ports:
        """The world."""
        return self.gate.ports

    @property
    def actor(self) -> Actor:
        """Who does it and, from ``Audit-Comment``, why: for the audit trail. Else 400."""
        comment = self.gate.headers.get("audit-comment")
        if comment is not None and len(comment) > MAX_COMMENT_CHARACTERS:
            raise bad_request(
                [_header("Audit-Comment", f"takes at most {MAX_COMMENT_CHARACTERS} characters")]
            )
        return Actor(name=self.principal.key_id, reason=comment or None)

    @property
    def repeatable(self) -> Repeatable | None:
        """Under which ``Idempotency-Key`` it may be sent again. Else 400."""
        key = self.gate.headers.get("idempotency-key")
        if key is None:
            return None
        if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
            raise bad_request([_header("Idempotency-Key", f"takes 1 to {MAX_KEY_CHARACTERS} characters")])
        return Repeatable(key=key, body_hash=self.gate.hasher.hash(canonical(self.json())))

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """The request's body: else 400 or 413."""
        if len(self.text) > MAX_BODY_BYTES:
            raise CoreError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body takes at most 256 KB")
        try:
            return strict_json(self.text)
        except InvalidInputError as error:
            raise bad_request(error.problems) from error

    def body(self, model: type[M], *, optional: bool = False) -> M:
        """The request's body; every problem at once: else 400 or 413. optional: no body is an empty one."""
        found, problems = read_as(model, {} if optional and not self.text else self.json())
        if found is None:
            raise bad_request(problems)
        return found

    def asked(self, model: type[M]) -> M:
        """The parameters of the query; every problem at once: else 400."""
        found, problems = read_as(model, dict(self.query))
        if found is None:
            raise bad_request(problems)
        return found


def _header(name: str, message: str) -> Problem:
    return Problem(pointer="", rule="header", message=f"the header {name} {message}")
