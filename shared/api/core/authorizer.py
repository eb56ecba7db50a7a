"""Find the object that a request names, and check that the caller may use it.

It must exist, belong to the caller's account, and the caller must know its Strategy-Secret.
Source: docs/design.md section 9; docs/contracts/core.md section 1.3.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, assert_never

from msgspec import Struct

from shared.api.core.errors import CoreError, not_found
from shared.api.http.auth import Secret, compare_secret
from shared.api.http.request import Request
from shared.api.http.route import Route, Target
from shared.application.ports import UnknownStrategyError
from shared.domain.access import AccessKey
from shared.domain.bulk.operation import BulkOperation
from shared.domain.ids import InstanceSid, OperationSid, StrategySid, event_address, event_of_correlation
from shared.domain.instance.model import Instance
from shared.domain.notifications.webhook import Webhook
from shared.domain.strategy.model import StrategyHead

_SID = re.compile(r"[0-9A-Za-z-]{1,64}")
"""The form of a sid. Other texts are not looked up."""

_SECRET_FAULTS: Mapping[Secret, str] = {
    Secret.MISSING: "is missing",
    Secret.UNDECODABLE: "is not base64 of UTF-8 text",
    Secret.WRONG: "does not match the strategy",
}


class NamedInstance(Struct, frozen=True, kw_only=True):
    """An instance, loaded with a strong read for this request, and the head of its strategy."""

    instance: Instance
    head: StrategyHead


class NamedEvent(Struct, frozen=True, kw_only=True):
    """The number of an event, and its instance, loaded with a strong read for this request."""

    instance: Instance
    seq: int


class Authorizer(Struct, frozen=True):
    """Finds the objects that the caller may use. Every method raises CoreError (404, 403) if it may not."""

    request: Request

    def strategy(self, sid: str, *, deleted: bool = False) -> StrategyHead:
        """Return a strategy; if ``deleted``, also a deleted one."""
        head = self._own_head(sid)
        if head is None or (head.deleted_at is not None and not deleted):
            raise not_found("strategy")
        return self._opened(head)

    def strategy_named(self, name_or_sid: str) -> StrategyHead:
        """Return the strategy with that sid, or else the one with that name."""
        # A sid comes first: the name of one strategy may look like the sid of another.
        head = self._own_head(name_or_sid)
        if head is None or head.deleted_at is not None:
            head = self.request.ports.strategies.named(self.request.principal.account_id, name_or_sid)
        if head is None:
            raise not_found("strategy")
        return self._opened(head)

    def instance(self, sid: str, *, what: str = "instance") -> NamedInstance:
        """Return an instance. ``what`` is the kind of thing that the error reports as not found."""
        # A malformed sid cannot exist, so it costs no read.
        instance = self.request.ports.instances.load(InstanceSid(sid)) if _SID.fullmatch(sid) else None
        if instance is None or instance.account_id != self.request.principal.account_id:
            raise not_found(what)
        return NamedInstance(instance=instance, head=self._opened(self._head_of(instance)))

    def event(self, sid: str) -> NamedEvent:
        """Return the number of an event and its instance. The operation checks that the event exists."""
        address = event_address(sid)
        if address is None:
            raise not_found("event")
        # An error reports the event, because the caller did not name the instance.
        return NamedEvent(instance=self.instance(address[0], what="event").instance, seq=address[1])

    def operation(self, sid: str) -> BulkOperation:
        """Return a bulk operation."""
        bulk = self.request.ports.operations.load(OperationSid(sid)) if _SID.fullmatch(sid) else None
        # The store also has release jobs, which are no operations of the account.
        if not isinstance(bulk, BulkOperation) or bulk.account_id != self.request.principal.account_id:
            raise not_found("operation")
        return bulk

    def key(self, key_id: str) -> AccessKey:
        """Return an access key."""
        key = self.request.ports.access.key(key_id)
        if key is None or key.account_id != self.request.principal.account_id:
            raise not_found("access key")
        return key

    def webhook(self) -> Webhook:
        """Return the webhook of the caller's account."""
        webhook = self.request.ports.webhooks.find(self.request.principal.account_id)
        if webhook is None:
            raise not_found("webhook")
        return webhook

    def knows_secret_of(self, instance: Instance) -> bool:
        """Return whether the Strategy-Secret matches the instance's strategy, or the strategy has no secret."""
        return compare_secret(self.request, self._head_of(instance)) is Secret.RIGHT

    def _own_head(self, sid: str) -> StrategyHead | None:
        head = self.request.ports.strategies.head(StrategySid(sid)) if _SID.fullmatch(sid) else None
        return head if head is not None and head.account_id == self.request.principal.account_id else None

    def _head_of(self, instance: Instance) -> StrategyHead:
        head = self.request.ports.strategies.head(instance.strategy_sid)
        if head is None:
            # Heads are never removed, so the store is inconsistent: answer 500, not 404.
            raise UnknownStrategyError(instance.strategy_sid)
        return head

    def _opened(self, head: StrategyHead) -> StrategyHead:
        fault = _SECRET_FAULTS.get(compare_secret(self.request, head))
        if fault is not None:
            raise CoreError(HTTPStatus.FORBIDDEN, f"the header Strategy-Secret {fault}")
        return head


def find(request: Request, route: Route, path: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the arguments of the operation for the object that the path names. Raises: CoreError (404, 403)."""
    authorizer, target = Authorizer(request), route.target
    arguments: dict[str, Any]
    match target:
        case Target.NOTHING | Target.NAMED_STRATEGY | Target.IDS:
            return path
        case Target.STRATEGY | Target.STRATEGY_OR_DELETED:
            head = authorizer.strategy(path["sid"], deleted=target is Target.STRATEGY_OR_DELETED)
            arguments = {"head": head}
        case Target.INSTANCE:
            arguments = {"named": authorizer.instance(path["sid"])}
        case Target.EVENT:
            sid = path["sid"] if "sid" in path else event_of_correlation(path["correlation_id"])
            arguments = {"named": authorizer.event(sid)}
        case Target.OPERATION:
            arguments = {"bulk": authorizer.operation(path["sid"])}
        case Target.KEY:
            arguments = {"key": authorizer.key(path["key_id"])}
        case Target.WEBHOOK:
            arguments = {"webhook": authorizer.webhook()}
        case _:
            assert_never(target)
    # Other parts of the path (a version, a correlation id) are passed on as they are.
    return arguments | {name: part for name, part in path.items() if name not in ("sid", "key_id")}
