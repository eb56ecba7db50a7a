"""The routes of the automation dialect: one row for each operation.

The gateway checks and reads every request by its row. The OpenAPI document and tests are derived from the rows too.
Source: docs/contracts/automation.md A.1.
"""

from functools import partial
from http import HTTPStatus
from typing import Any

from shared.api.automation import definitions, helpers, named, triggers, workflows
from shared.api.http.route import Route, Target
from shared.domain.access import Role

BASE = "/api/v1/accounts/<account_id>"
_DEFINITIONS = f"{BASE}/definitions"
_DEFINITION = f"{_DEFINITIONS}/<definition_id>"
_WORKFLOWS = f"{_DEFINITION}/workflows"
_WORKFLOW = f"{_WORKFLOWS}/<workflow_id>"

_read, _command, _definition = (partial(Route, role) for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN))
_IDS = Target.IDS
_CREATED: dict[str, Any] = {"is_idempotent": True, "statuses": (HTTPStatus.CREATED,)}
_DOCUMENT: dict[str, Any] = {"shape": "DefinitionInput", "read": named.read_definition}
_CONTEXT: dict[str, Any] = {"shape": "Context", "body_is_optional": True, "read": named.read_context}
_PAYLOAD: dict[str, Any] = {
    "shape": "Payload",
    "body_is_optional": True,
    "read": partial(named.read_payload, optional=True),
}

ROUTES: tuple[Route, ...] = (
    _read(f"GET {_DEFINITIONS}", definitions.list_definitions),
    _definition(f"POST {_DEFINITIONS}", definitions.post_definition, **_CREATED, **_DOCUMENT),
    _read(f"GET {_DEFINITION}", definitions.get_definition),
    _definition(f"PUT {_DEFINITION}", definitions.put_definition, _IDS, **_DOCUMENT),
    _definition(
        f"DELETE {_DEFINITION}", definitions.delete_definition, _IDS, statuses=(HTTPStatus.ACCEPTED,)
    ),
    _read(f"GET {_WORKFLOWS}", workflows.list_workflows, _IDS),
    _command(f"POST {_WORKFLOWS}", workflows.post_workflow, _IDS, **_CREATED, **_CONTEXT),
    _read(f"GET {_WORKFLOW}", workflows.get_workflow, _IDS),
    _command(f"PATCH {_WORKFLOW}", workflows.patch_workflow, _IDS, shape="Command", read=named.read_command),
    _read(f"GET {_WORKFLOW}/errors", workflows.list_errors, _IDS),
    _command(
        f"POST {BASE}/triggers/http_request", triggers.post_http_request, is_idempotent=True, **_PAYLOAD
    ),
    _read(f"GET {BASE}/steps/timezones", helpers.list_timezones),
    _read(f"GET {BASE}/steps/functions", helpers.list_functions),
)
"""Every operation."""

NOT_SERVED = (("GET", f"{BASE}/usage"), ("GET", f"{BASE}/usage/history"))
"""Resources of the vendor that the engine has no data for. They are answered with 404."""
