"""The routes of the automation dialect: one row for each operation.

The gateway checks and reads every request by its row; the OpenAPI document and tests are derived from it too.
Source: contracts/automation.md A.1.
"""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from shared.api.automation import definitions, helpers, named, triggers, workflows
from shared.api.automation.schemas import (
    PageQuery,
    TimezonesQuery,
    TriggerQuery,
    VersionQuery,
    WorkflowQuery,
    WorkflowsQuery,
)
from shared.api.http.route import Answer, Route, Target
from shared.domain.access import Role

BASE = "/api/v1/accounts/<account_id>"
_DEFINITIONS = f"{BASE}/definitions"
_DEFINITION = f"{_DEFINITIONS}/<definition_id>"
_WORKFLOWS = f"{_DEFINITION}/workflows"
_WORKFLOW = f"{_WORKFLOWS}/<workflow_id>"


def _row(
    role: Role,
    method: str,
    path: str,
    operation: Callable[..., Answer],
    answer: str | None,
    **more: Any,  # noqa: ANN401 - fields of a route
) -> Route:
    return Route(
        method=method,
        path=path,
        operation=operation,
        role=role,
        answer=answer,
        is_audited=method != "GET",
        **more,
    )


_read, _command, _definition = (partial(_row, role) for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN))
_NAMED = {"target": Target.IDS}
_CREATED = {"is_idempotent": True, "statuses": (HTTPStatus.CREATED,)}
_DOCUMENT = {"body": "DefinitionInput", "read": named.read_definition}
_CONTEXT = {"body": "Context", "body_is_optional": True, "read": named.read_context}
_PAYLOAD = {
    "body": "Payload",
    "body_is_optional": True,
    "read": partial(named.read_payload, optional=True),
}

ROUTES: tuple[Route, ...] = (
    _read("GET", _DEFINITIONS, definitions.list_definitions, "Definitions", query=PageQuery),
    _definition("POST", _DEFINITIONS, definitions.post_definition, "Definition", **_CREATED, **_DOCUMENT),
    _read("GET", _DEFINITION, definitions.get_definition, "Definitions", query=PageQuery),
    _definition("PUT", _DEFINITION, definitions.put_definition, "Definition", **_DOCUMENT, **_NAMED),
    _definition(
        "DELETE",
        _DEFINITION,
        definitions.delete_definition,
        None,
        query=VersionQuery,
        statuses=(HTTPStatus.ACCEPTED,),
        **_NAMED,
    ),
    _read("GET", _WORKFLOWS, workflows.list_workflows, "Workflows", query=WorkflowsQuery, **_NAMED),
    _command(
        "POST",
        _WORKFLOWS,
        workflows.post_workflow,
        "Started",
        query=VersionQuery,
        **_CREATED,
        **_CONTEXT,
        **_NAMED,
    ),
    _read("GET", _WORKFLOW, workflows.get_workflow, "WorkflowWithLogs", query=WorkflowQuery, **_NAMED),
    _command(
        "PATCH",
        _WORKFLOW,
        workflows.patch_workflow,
        None,
        body="Command",
        read=named.read_command,
        **_NAMED,
    ),
    _read("GET", f"{_WORKFLOW}/errors", workflows.list_errors, "Errors", **_NAMED),
    _command(
        "POST",
        f"{BASE}/triggers/http_request",
        triggers.post_http_request,
        None,
        query=TriggerQuery,
        is_idempotent=True,
        **_PAYLOAD,
    ),
    _read("GET", f"{BASE}/steps/timezones", helpers.list_timezones, "Timezones", query=TimezonesQuery),
    _read("GET", f"{BASE}/steps/functions", helpers.list_functions, "Functions"),
)
"""Every operation."""

NOT_SERVED = (("GET", f"{BASE}/usage"), ("GET", f"{BASE}/usage/history"))
"""Resources of the vendor's that nothing here could answer truthfully: 404."""
