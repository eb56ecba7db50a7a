"""One request of the automation dialect, as an operation sees it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from shared.api.automation.errors import forbidden, invalid, not_found, unauthorized
from shared.api.automation.versions import is_definition, versions_deleted
from shared.api.http.auth import Principal, principal_of
from shared.api.http.models import MAX_BODY_BYTES, MAX_COMMENT_CHARACTERS, MAX_KEY_CHARACTERS, M, read_as
from shared.api.http.strict_json import canonical, strict_json
from shared.application.ports import Ports, SecretHasher
from shared.application.start import Repeatable
from shared.domain.access import Role
from shared.domain.errors import InvalidInputError
from shared.domain.ids import InstanceSid, StrategySid, sid_of_request
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Actor
from shared.domain.strategy.model import StrategyHead
from shared.domain.strategy.parse_limits import unreadable

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status, and a JSON value; the empty text for no body at all. location: where what was made can be found."""

    status: HTTPStatus = HTTPStatus.OK
    body: Any = ""
    location: str | None = None

    @property
    def media_type(self) -> str | None:
        """Of the body, where there is one."""
        return None if self.body == "" else "application/json"

    @property
    def headers(self) -> dict[str, str]:
        """What goes with it. Nothing is kept on the way."""
        there = {} if self.location is None else {"Location": self.location}
        return {"Cache-Control": "no-store", **there}


EMPTY = Answer()
"""200 without a body."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets a request in, or raises AutomationError. environment: of the deployment."""

    ports: Ports
    hasher: SecretHasher
    headers: Mapping[str, str]
    environment: str

    def call(self, account: str, role: Role, text: bytes, query: Mapping[str, str]) -> "Call":
        """The request of somebody who asks for their own account and has this role at least: else 401 or 403."""
        principal = principal_of(self.headers.get("authorization"), self.ports.access, self.hasher)
        if principal is None:
            raise unauthorized()
        if principal.account_id != account or not principal.role.includes(role):
            raise forbidden()
        return Call(gate=self, principal=principal, text=text, query=query)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request of somebody who has shown a key with the role that the operation asks for."""

    gate: Gate
    principal: Principal
    text: bytes
    query: Mapping[str, str]

    @property
    def ports(self) -> Ports:
        """The world."""
        return self.gate.ports

    @property
    def actor(self) -> Actor:
        """Who does it and, from ``Audit-Comment``, why: for the audit trail. Else 400."""
        comment = self.gate.headers.get("audit-comment")
        if comment is not None and len(comment) > MAX_COMMENT_CHARACTERS:
            raise invalid(f"Audit-Comment takes at most {MAX_COMMENT_CHARACTERS} characters.")
        return Actor(name=self.principal.key_id, reason=comment or None)

    def repeatable(self, what: str) -> Repeatable | None:
        """Under which ``Idempotency-Key`` it may be sent again. what: tells this request from others. Else 400."""
        key = self.gate.headers.get("idempotency-key")
        if key is None:
            return None
        if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
            raise invalid(f"Idempotency-Key takes 1 to {MAX_KEY_CHARACTERS} characters.")
        return Repeatable(
            key=key, body_hash=self.gate.hasher.hash(f"{what}\0{canonical(self.json(or_empty=True))}")
        )

    def json(self, *, or_empty: bool = False) -> Any:  # noqa: ANN401 - any JSON value
        """The request's body. or_empty: none is an empty object. Else 400."""
        if or_empty and not self.text:
            return {}
        if len(self.text) > MAX_BODY_BYTES:
            raise invalid(f"Request is invalid. It takes more than {MAX_BODY_BYTES // 1024} KB.")
        try:
            body = strict_json(self.text)
        except InvalidInputError as error:
            raise invalid("Request is invalid.") from error
        if unreadable(body, ""):
            raise invalid("Request is invalid.")
        return body

    def json_object(self, *, or_empty: bool = False) -> dict[str, Any]:
        """The request's body, an object. Else 400."""
        body = self.json(or_empty=or_empty)
        if not isinstance(body, dict):
            raise invalid("Request is invalid.")
        return body

    def asked(self, model: type[M]) -> M:
        """The parameters of the query; every problem at once: else 400. Unknown ones are passed over."""
        found, problems = read_as(model, dict(self.query))
        if found is None:
            names = dict.fromkeys(problem.pointer.split("/")[1] for problem in problems)
            raise invalid(" ".join(f"Invalid {name}." for name in names))
        return found

    def definition(self, definition_id: str) -> StrategyHead:
        """The strategy a definition id stands for, by its name or its sid; of any dialect. Else 404."""
        head = self.own_definition(definition_id) or self._strategy(definition_id)
        if head is None or head.deleted_at is not None:
            raise not_found(f"Definition {definition_id}")
        return head

    def own_definition(self, definition_id: str) -> StrategyHead | None:
        """What this dialect has made under that id, though it may be deleted since; None where it has not."""
        head = self.ports.strategies.head(definition_sid(self.principal, definition_id))
        is_own = head is not None and head.account_id == self.principal.account_id and is_definition(head)
        return head if is_own else None

    def workflow(self, head: StrategyHead, workflow_id: str) -> Instance:
        """A workflow of a definition, of a version that was not deleted. Else 404."""
        instance = self.ports.instances.load(InstanceSid(workflow_id.lower()))
        if instance is None or instance.strategy_sid != head.sid or instance.account_id != head.account_id:
            raise not_found(f"Workflow {workflow_id}")
        if instance.strategy_version in versions_deleted(head):
            raise not_found(f"Workflow {workflow_id}")
        return instance

    def _strategy(self, definition_id: str) -> StrategyHead | None:
        account = self.principal.account_id
        named = self.ports.strategies.named(account, definition_id.lower())
        if named is not None:
            return named
        head = self.ports.strategies.head(StrategySid(definition_id.lower()))
        return head if head is not None and head.account_id == account else None


def definition_sid(principal: Principal, definition_id: str) -> StrategySid:
    """The sid of the strategy of a definition of this dialect."""
    return StrategySid(sid_of_request(principal.account_id, "strategy", definition_id.lower()))


def check_ids(definition_id: str | None, workflow_id: str | None) -> None:
    """Nothing, where both are ids, or absent: else 400, the definition's first."""
    if definition_id is not None and not _UUID.fullmatch(definition_id):
        raise invalid("Invalid definition id.")
    is_id = workflow_id is None or _UUID.fullmatch(workflow_id) or _OBJECT_ID.fullmatch(workflow_id)
    if not is_id:
        raise invalid("Invalid workflow id.")
