"""One request of the orders dialect, as an operation sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

from shared.api.http.auth import Principal, basic_principal_of
from shared.api.http.models import MAX_BODY_BYTES, MAX_KEY_CHARACTERS, M, read_as
from shared.api.http.strict_json import canonical, strict_json
from shared.api.orders.errors import LOGIN_TIMEOUT, Code, JocError, SecurityError, schema_error
from shared.api.orders.schemas import AuditLog, Body
from shared.application.ports import Ports, SecretHasher
from shared.application.sessions import Expired, key_of_session
from shared.application.start import Repeatable
from shared.domain.access import Role
from shared.domain.errors import InvalidInputError
from shared.domain.instance.verdict import Actor

TOKEN_HEADER = "X-Access-Token"  # noqa: S105 - the name of a header
TOKEN_PARAMETER = "accessToken"  # noqa: S105 - the name of a parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the deployment allows.

    unscoped: a command may name neither orders, workflows nor folders, and so means every order. comments: each
    command has to say why.
    """

    unscoped: bool = False
    comments: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered with 200."""

    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sent:
    """What came over the wire. headers: by their names in small letters. text: the body."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    text: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came. now: when it is answered, by its one reading of the clock."""

    ports: Ports
    hasher: SecretHasher
    sent: Sent
    rules: Rules
    now: datetime

    @property
    def token(self) -> str:
        """The session's token; the header beats the query. Empty where there is none."""
        return self.sent.headers.get(TOKEN_HEADER.lower()) or self.sent.query.get(TOKEN_PARAMETER) or ""

    def shown(self) -> Principal:
        """Whose key is shown with ``Authorization: Basic``: else 401."""
        found = basic_principal_of(self.sent.headers.get("authorization"), self.ports.access, self.hasher)
        if found is None:
            raise SecurityError(HTTPStatus.UNAUTHORIZED, "JocAuthenticationException: access denied")
        return found

    def principal(self, role: Role, call: str) -> Principal:
        """Whose session it is, who must have at least this role: else 401, 440 or 403. call: what is asked for."""
        found = key_of_session(self.ports, self.hasher, self.token) if self.token else None
        match found:
            case None:
                message = "JocAuthenticationException: a valid X-Access-Token is required"
                raise SecurityError(HTTPStatus.UNAUTHORIZED, message, call=call)
            case Expired(key_id=key_id):
                message = "SessionNotExistException: the session has expired"
                raise SecurityError(LOGIN_TIMEOUT, message, account=key_id, call=call)
            case key:
                if not key.role.includes(role):
                    raise SecurityError(HTTPStatus.FORBIDDEN, "Access denied", account=key.key_id, call=call)
                return Principal(key_id=key.key_id, account_id=key.account_id, role=key.role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request of somebody whose session allows it."""

    request: Request
    principal: Principal

    @property
    def ports(self) -> Ports:
        """The world."""
        return self.request.ports

    @property
    def now(self) -> datetime:
        """When it is answered."""
        return self.request.now

    def body(self, model: type[M]) -> M:
        """The request's body, of the caller's own controller where it names one: else 420."""
        text = self.request.sent.text
        if len(text) > MAX_BODY_BYTES:
            raise JocError(Code.SCHEMA, "the body takes at most 256 KB")
        try:
            value = strict_json(text or b"{}")
        except InvalidInputError as error:
            raise schema_error(error.problems) from error
        found, problems = read_as(model, value)
        if found is None:
            raise schema_error(problems)
        named = getattr(found, "controllerId", None)
        if named not in (None, self.principal.account_id):
            raise JocError(Code.NO_CONTROLLER, f"unknown controller {named!r}")
        return found

    @property
    def repeatable(self) -> Repeatable | None:
        """Under which ``Idempotency-Key``, an addition of ours, it may be sent again: else 420."""
        sent = self.request.sent
        key = sent.headers.get("idempotency-key")
        if key is None:
            return None
        if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
            raise JocError(
                Code.SCHEMA, f"the header Idempotency-Key takes 1 to {MAX_KEY_CHARACTERS} characters"
            )
        body = canonical(strict_json(sent.text or b"{}"))
        return Repeatable(key=key, body_hash=self.request.hasher.hash(body))

    def actor(self, log: AuditLog, *options: str) -> Actor:
        """Who does it and why, for the audit trail: else 420, where a comment is demanded."""
        if self.request.rules.comments and not log.comment:
            raise JocError(Code.NO_COMMENT, "missing comment")
        return Actor(
            name=self.principal.key_id,
            reason=log.comment or None,
            minutes_spent=log.timeSpent,
            ticket=log.ticketLink or None,
            options=options,
        )


def options_of(body: Body, *names: str) -> tuple[str, ...]:
    """Those of these switches that were set."""
    return tuple(name for name in names if getattr(body, name))
