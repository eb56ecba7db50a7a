"""The way in: body, key, role, existence, secret, in this order. Source: design section 9; contract 1.3."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from shared.api.auth import Principal, principal_of, secret_opens
from shared.api.core.errors import CoreError, bad_request, not_found
from shared.api.strict_json import strict_json
from shared.application.ports import Ports, SecretHasher
from shared.domain.access import Role
from shared.domain.dates import parse_instant
from shared.domain.errors import DateError, InvalidInputError, Problem
from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance import Instance
from shared.domain.jtd_form import escaped
from shared.domain.strategy import StrategyHead

MAX_BODY_BYTES = 256 * 1024
"""A larger body is refused unread."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Lets a request through to what it may touch, or raises CoreError."""

    ports: Ports
    hasher: SecretHasher
    headers: Mapping[str, str]

    def principal(self, role: Role) -> Principal:
        """Whoever calls, who must have at least this role: else 401 or 403."""
        principal = principal_of(self.headers.get("authorization"), self.ports.access, self.hasher)
        if principal is None:
            raise CoreError(HTTPStatus.UNAUTHORIZED, "a valid access key is required")
        if not principal.role.includes(role):
            raise CoreError(HTTPStatus.FORBIDDEN, f"the key's role is {principal.role}, not {role}")
        return principal

    def strategy(self, principal: Principal, name_or_sid: str) -> StrategyHead:
        """A strategy of the caller's account, whose secret the caller knows: else 404 or 403."""
        head = self.ports.strategies.head(StrategySid(name_or_sid))
        if head is None or head.account_id != principal.account_id:
            head = self.ports.strategies.named(principal.account_id, name_or_sid)
        if head is None:
            raise not_found("strategy")
        self._opened(head)
        return head

    def instance(self, principal: Principal, sid: str) -> tuple[Instance, StrategyHead]:
        """An instance of the caller's account and its strategy, whose secret they know: else 404 or 403."""
        instance = self.ports.instances.load(InstanceSid(sid))
        if instance is None or instance.account_id != principal.account_id:
            raise not_found("instance")
        return instance, self.opened_strategy(instance)

    def opened_strategy(self, instance: Instance) -> StrategyHead:
        """The strategy of an instance, whose secret the caller knows: else 403."""
        head = self.ports.strategies.head(instance.strategy_sid)
        if head is None:
            raise not_found("strategy")
        self._opened(head)
        return head

    def body(self, text: bytes, model: type[M], *, optional: bool = False) -> M:
        """The request's body; every problem at once: else 400 or 413. optional: no body is an empty one."""
        if len(text) > MAX_BODY_BYTES:
            raise CoreError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body takes at most 256 KB")
        try:
            value: Any = {} if optional and not text else strict_json(text)
            return model.model_validate(value)
        except InvalidInputError as error:
            raise bad_request(error.problems) from error
        except ValidationError as error:
            raise bad_request([_problem(detail) for detail in error.errors()]) from error

    def _opened(self, head: StrategyHead) -> None:
        if not secret_opens(self.headers.get("strategy-secret"), head, self.hasher):
            raise CoreError(HTTPStatus.FORBIDDEN, "Strategy-Secret is missing or wrong")


def instants(**given: str | None) -> dict[str, Any]:
    """The instants some members hold, by name; None stays None. Raises: CoreError: 400 with every problem."""
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, text in given.items():
        try:
            found[name] = None if text is None else parse_instant(text)
        except DateError as error:
            problems.append(Problem(pointer=f"/{name}", rule="date", message=str(error)))
    if problems:
        raise bad_request(problems)
    return found


def _problem(detail: Any) -> Problem:  # noqa: ANN401 - pydantic's own error details
    rules = {"extra_forbidden": "unknown-field", "missing": "required"}
    pointer = "".join(f"/{escaped(str(part))}" for part in detail["loc"])
    return Problem(pointer=pointer, rule=rules.get(detail["type"], detail["type"]), message=detail["msg"])
