"""The routes of the automation dialect: one row an operation, which says who may and what it takes.

Everything that is true of all of them (who gets in, documents, tests) is derived from this table.
Source: contracts/automation.md A.1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from pydantic import BaseModel

from shared.api.automation import definitions, helpers, triggers, workflows
from shared.api.automation.call import Answer
from shared.api.automation.schemas import (
    PageQuery,
    TimezonesQuery,
    TriggerQuery,
    VersionQuery,
    WorkflowQuery,
    WorkflowsQuery,
)
from shared.domain.access import Role


class Finds(Enum):
    """What a request must find."""

    NOTHING = auto()
    IDS = auto()
    """Its path has ids of the right form, of what need not be there."""
    THINGS = auto()
    """What the path names is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation. status: of its success. answer: its shape in the OpenAPI document, None where it has no body.

    body: the shape of what is sent. creates: takes an Idempotency-Key.
    """

    method: str
    path: str
    operation: Callable[..., Answer]
    role: Role
    answer: str | None
    status: int = 200
    finds: Finds = Finds.NOTHING
    body: str | None = None
    query: type[BaseModel] | None = None
    creates: bool = False


BASE = "/api/v1/accounts/<account_id>"
_DEFINITIONS = f"{BASE}/definitions"
_DEFINITION = f"{_DEFINITIONS}/<definition_id>"
_WORKFLOWS = f"{_DEFINITION}/workflows"
_WORKFLOW = f"{_WORKFLOWS}/<workflow_id>"


def _read(path: str, operation: Callable[..., Answer], answer: str, **more: Any) -> Route:  # noqa: ANN401 - fields of a route
    return Route(method="GET", path=path, operation=operation, answer=answer, role=Role.VIEWER, **more)


def _command(method: str, path: str, operation: Callable[..., Answer], **more: Any) -> Route:  # noqa: ANN401 - fields of a route
    return Route(method=method, path=path, operation=operation, role=Role.OPERATOR, **more)


def _definition(method: str, path: str, operation: Callable[..., Answer], **more: Any) -> Route:  # noqa: ANN401 - fields of a route
    return Route(method=method, path=path, operation=operation, role=Role.ADMIN, **more)


ROUTES: tuple[Route, ...] = (
    _read(_DEFINITIONS, definitions.list_definitions, "Definitions", query=PageQuery),
    _definition(
        "POST",
        _DEFINITIONS,
        definitions.post_definition,
        answer="Definition",
        status=201,
        body="DefinitionInput",
        creates=True,
    ),
    _read(_DEFINITION, definitions.get_definition, "Definitions", query=PageQuery, finds=Finds.IDS),
    _definition(
        "PUT",
        _DEFINITION,
        definitions.put_definition,
        answer="Definition",
        body="DefinitionInput",
        finds=Finds.THINGS,
    ),
    _definition(
        "DELETE",
        _DEFINITION,
        definitions.delete_definition,
        answer=None,
        status=202,
        query=VersionQuery,
        finds=Finds.THINGS,
    ),
    _read(_WORKFLOWS, workflows.list_workflows, "Workflows", query=WorkflowsQuery, finds=Finds.THINGS),
    _command(
        "POST",
        _WORKFLOWS,
        workflows.post_workflow,
        answer="Started",
        status=201,
        body="Context",
        query=VersionQuery,
        finds=Finds.THINGS,
        creates=True,
    ),
    _read(_WORKFLOW, workflows.get_workflow, "WorkflowWithLogs", query=WorkflowQuery, finds=Finds.THINGS),
    _command(
        "PATCH",
        _WORKFLOW,
        workflows.patch_workflow,
        answer=None,
        body="Command",
        finds=Finds.THINGS,
    ),
    _read(f"{_WORKFLOW}/errors", workflows.list_errors, "Errors", finds=Finds.THINGS),
    _command(
        "POST",
        f"{BASE}/triggers/http_request",
        triggers.post_http_request,
        answer=None,
        body="Payload",
        query=TriggerQuery,
        creates=True,
    ),
    _read(f"{BASE}/steps/timezones", helpers.list_timezones, "Timezones", query=TimezonesQuery),
    _read(f"{BASE}/steps/functions", helpers.list_functions, "Functions"),
)
"""Every operation."""

NOT_SERVED = (("GET", f"{BASE}/usage"), ("GET", f"{BASE}/usage/history"))
"""Resources of the vendor's that nothing here could answer truthfully: 404."""
