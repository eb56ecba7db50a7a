"""The way in: key, role, existence, secret, body, in this order. Source: design section 9; contract 1.3."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from shared.api.core.errors import CoreError, not_found
from shared.api.http.auth import Principal, Secret, principal_of, secret_of
from shared.application.ports import Ports, SecretHasher, UnknownStrategyError
from shared.domain.access import Role
from shared.domain.bulk.operation import BulkOperation
from shared.domain.ids import InstanceSid, OperationSid, StrategySid, event_address
from shared.domain.instance.model import Instance
from shared.domain.strategy.model import StrategyHead

_SID = re.compile(r"[0-9A-Za-z-]{1,64}")
"""What a sid can be; anything else is not looked for."""


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

    def strategy(self, principal: Principal, sid: str, *, deleted: bool = False) -> StrategyHead:
        """A strategy of the caller's account, whose secret the caller knows: else 404 or 403.

        deleted: whether one that was deleted is meant too.
        """
        head = self.ports.strategies.head(StrategySid(sid)) if _SID.fullmatch(sid) else None
        if head is None or head.account_id != principal.account_id:
            raise not_found("strategy")
        if head.deleted_at is not None and not deleted:
            raise not_found("strategy")
        self._opened(head)
        return head

    def strategy_named(self, principal: Principal, name_or_sid: str) -> StrategyHead:
        """The strategy with that sid, else of that name; as above."""
        head = self.ports.strategies.head(StrategySid(name_or_sid)) if _SID.fullmatch(name_or_sid) else None
        if head is None or head.account_id != principal.account_id or head.deleted_at is not None:
            head = self.ports.strategies.named(principal.account_id, name_or_sid)
        if head is None:
            raise not_found("strategy")
        self._opened(head)
        return head

    def instance(self, principal: Principal, sid: str) -> tuple[Instance, StrategyHead]:
        """An instance of the caller's account and its strategy, whose secret they know: else 404 or 403."""
        return self._instance(principal, sid, "instance")

    def event(self, principal: Principal, sid: str) -> tuple[Instance, int]:
        """The instance an event belongs to, and its number there; as above, but what is missing is the event."""
        address = event_address(sid)
        if address is None:
            raise not_found("event")
        instance, _ = self._instance(principal, address[0], "event")
        return instance, address[1]

    def operation(self, principal: Principal, sid: str) -> BulkOperation:
        """A bulk operation of the caller's account: else 404. It shows nothing that a secret guards."""
        found = self.ports.operations.load(OperationSid(sid)) if _SID.fullmatch(sid) else None
        if not isinstance(found, BulkOperation) or found.account_id != principal.account_id:
            raise not_found("operation")
        return found

    def opens(self, instance: Instance) -> bool:
        """Whether the Strategy-Secret that was shown opens an instance's strategy, or that has none."""
        head = self.ports.strategies.head(instance.strategy_sid)
        if head is None:
            raise UnknownStrategyError(instance.strategy_sid)
        return secret_of(self.headers.get("strategy-secret"), head, self.hasher) is Secret.RIGHT

    def _instance(self, principal: Principal, sid: str, what: str) -> tuple[Instance, StrategyHead]:
        instance = self.ports.instances.load(InstanceSid(sid)) if _SID.fullmatch(sid) else None
        if instance is None or instance.account_id != principal.account_id:
            raise not_found(what)
        head = self.ports.strategies.head(instance.strategy_sid)
        if head is None:
            # Heads are never removed, so it is our own books that are wrong.
            raise UnknownStrategyError(instance.strategy_sid)
        self._opened(head)
        return instance, head

    def _opened(self, head: StrategyHead) -> None:
        """Missing, undecodable and wrong are three messages; whichever it is, 403."""
        match secret_of(self.headers.get("strategy-secret"), head, self.hasher):
            case Secret.RIGHT:
                return
            case Secret.MISSING:
                raise CoreError(HTTPStatus.FORBIDDEN, "the header Strategy-Secret is missing")
            case Secret.UNDECODABLE:
                raise CoreError(
                    HTTPStatus.FORBIDDEN, "the header Strategy-Secret is not base64 of UTF-8 text"
                )
            case Secret.WRONG:
                raise CoreError(HTTPStatus.FORBIDDEN, "the header Strategy-Secret is not this strategy's")
