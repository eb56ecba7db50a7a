"""Find the objects that a request names, and read its body.

The contract wants the body checked before definition and workflow are looked up: contracts/automation.md A.4.
"""

import re
from collections.abc import Mapping
from typing import Any

from shared.api.automation.documents import Document, read_document
from shared.api.automation.errors import invalid, not_found
from shared.api.automation.statuses import Command
from shared.api.automation.versions import is_definition, versions_deleted
from shared.api.http.errors import ForbiddenError, InvalidBodyError
from shared.api.http.models import read_json
from shared.api.http.request import Request
from shared.api.http.route import Principal, Route
from shared.domain.ids import InstanceSid, StrategySid, sid_of_request
from shared.domain.instance.model import Instance
from shared.domain.strategy.model import Json, StrategyHead

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")


def find(request: Request, route: Route, path: Mapping[str, str]) -> Mapping[str, str]:
    """Return the ids in the path.

    Raises: ForbiddenError: if the account is another one. AutomationError (400): if an id is malformed.
    """
    if path["account_id"] != request.principal.account_id:
        raise ForbiddenError(request.principal, route)
    ids = {name: part for name, part in path.items() if name != "account_id"}
    definition_id, workflow_id = ids.get("definition_id"), ids.get("workflow_id")
    if definition_id is not None and not _UUID.fullmatch(definition_id):
        raise invalid("Invalid definition id.")
    if workflow_id is not None and not (_UUID.fullmatch(workflow_id) or _OBJECT_ID.fullmatch(workflow_id)):
        raise invalid("Invalid workflow id.")
    return ids


def definition_named(request: Request, definition_id: str) -> StrategyHead:
    """Return the strategy, of any dialect, with this name or sid. Raises: AutomationError (404)."""
    # The dialect's own definitions come first; another dialect's strategy may be named like one.
    head = own_definition(request, definition_id) or _strategy(request, definition_id)
    if head is None or head.deleted_at is not None:
        raise not_found(f"Definition {definition_id}")
    return head


def own_definition(request: Request, definition_id: str) -> StrategyHead | None:
    """Return the strategy that this dialect made for a definition, even if deleted, or None if it made none."""
    head = request.ports.strategies.head(definition_sid(request.principal, definition_id))
    is_own = head is not None and head.account_id == request.principal.account_id and is_definition(head)
    return head if is_own else None


def workflow_named(request: Request, head: StrategyHead, workflow_id: str) -> Instance:
    """Return a workflow of a definition if its version is not deleted. Raises: AutomationError (404)."""
    instance = request.ports.instances.load(InstanceSid(workflow_id.lower()))
    if instance is None or instance.strategy_sid != head.sid or instance.account_id != head.account_id:
        raise not_found(f"Workflow {workflow_id}")
    if instance.strategy_version in versions_deleted(head):
        raise not_found(f"Workflow {workflow_id}")
    return instance


def definition_sid(principal: Principal, definition_id: str) -> StrategySid:
    """Return the sid of the strategy of a definition of this dialect."""
    return StrategySid(sid_of_request(principal.account_id, "strategy", definition_id.lower()))


def read_definition(request: Request, _: object) -> Document:
    """Return a definition. Raises: InvalidBodyError; InvalidDefinitionError; TooLargeError."""
    return read_document(_object(read_payload(request, _)), environment=request.deployment.environment)


def read_context(request: Request, _: object) -> dict[str, Any]:
    """Return the context of a workflow, empty if there is no body. Raises: InvalidBodyError; TooLargeError."""
    return _object(read_payload(request, _, optional=True))


def read_command(request: Request, _: object) -> Command:
    """Return a command to a workflow.

    Raises: InvalidBodyError; TooLargeError; AutomationError (400): if the command is unknown.
    """
    status = _object(read_payload(request, _)).get("status")
    if not isinstance(status, str) or status not in list(Command):
        raise invalid("Invalid status.")
    return Command(status)


def read_payload(request: Request, _: object, *, optional: bool = False) -> Json:
    """Return any JSON value. If ``optional``, no body is an empty object. Raises: InvalidBodyError; TooLargeError."""
    return read_json(request, optional=optional)


def _object(value: Json) -> dict[str, Any]:
    if not isinstance(value, dict):
        # The vendor's message has no details, so none are collected.
        raise InvalidBodyError(())
    return value


def _strategy(request: Request, definition_id: str) -> StrategyHead | None:
    account = request.principal.account_id
    named = request.ports.strategies.named(account, definition_id.lower())
    if named is not None:
        return named
    head = request.ports.strategies.head(StrategySid(definition_id.lower()))
    return head if head is not None and head.account_id == account else None
