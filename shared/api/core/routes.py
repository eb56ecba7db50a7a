"""The routes of the core dialect: one row for each operation.

The gateway checks and reads every request by its row. The OpenAPI document and tests are derived from the rows too.
Source: docs/contracts/core.md sections 1.1 and 5.
"""

from functools import partial
from http import HTTPStatus
from typing import Any

from shared.api.core import account, bulk, events, history, instances, overview, problems, strategies
from shared.api.core.bulk_schemas import BeginOperation
from shared.api.core.schemas import AnyObject, CreateInstance, ValidateStrategy
from shared.api.http.route import Route, Target
from shared.domain.access import Role

_CREATES: dict[str, Any] = {"is_idempotent": True, "statuses": (HTTPStatus.OK, HTTPStatus.CREATED)}
_BEGINS: dict[str, Any] = {"is_idempotent": True, "statuses": (HTTPStatus.OK, HTTPStatus.ACCEPTED)}
_NEW: dict[str, Any] = {"statuses": (HTTPStatus.CREATED,)}
_STRATEGY, _INSTANCE, _EVENT = Target.STRATEGY, Target.INSTANCE, Target.EVENT
_NAMED, _OPERATION = Target.NAMED_STRATEGY, Target.OPERATION
_read, _command, _definition = (partial(Route, role) for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN))
_SETTINGS: dict[str, Any] = {"read": strategies.read_with_settings}
_VALIDATES: dict[str, Any] = {"shape": ValidateStrategy, "read": strategies.read_all_problems}
_NEW_INSTANCE: dict[str, Any] = {"shape": CreateInstance, "read": instances.read_creation}
_SELECTION: dict[str, Any] = {"shape": BeginOperation, "read": bulk.read_beginning}
_ANY_ANSWER: dict[str, Any] = {"shape": AnyObject, "read": events.read_answer, "body_is_optional": True}

ROUTES: tuple[Route, ...] = (
    _definition("POST /execution-strategy", strategies.post_strategy, **_CREATES, **_SETTINGS),
    _read("GET /execution-strategy", strategies.list_strategies),
    _read("POST /execution-strategy/validate", strategies.validate_strategy, **_VALIDATES),
    _read("GET /execution-strategy/<sid>", strategies.get_strategy, _STRATEGY),
    _definition("PATCH /execution-strategy/<sid>", strategies.patch_strategy, _STRATEGY, **_SETTINGS),
    _definition("DELETE /execution-strategy/<sid>", strategies.delete_a_strategy, Target.STRATEGY_OR_DELETED),
    _command("POST /execution-strategy/<sid>/pause", strategies.pause_a_strategy, _STRATEGY),
    _command("POST /execution-strategy/<sid>/resume", strategies.resume_a_strategy, _STRATEGY),
    _read("POST /execution-strategy/<sid>/simulate-execution", strategies.simulate_execution, _STRATEGY),
    _read("GET /execution-strategy/<sid>/versions", strategies.list_versions, _STRATEGY),
    _read("GET /execution-strategy/<sid>/versions/<version>", strategies.get_version, _STRATEGY),
    _command("POST /execution-instance", instances.post_instance, _NAMED, **_CREATES, **_NEW_INSTANCE),
    _read("GET /execution-instance", instances.list_instances, _NAMED),
    _read("GET /execution-instance/<sid>", instances.get_instance, _INSTANCE),
    _command("PATCH /execution-instance/<sid>", instances.patch_instance, _INSTANCE),
    _read("GET /execution-instance/<sid>/forecast", instances.get_forecast, _INSTANCE),
    _read("GET /execution-instance/<sid>/get-tasks", instances.get_tasks, _INSTANCE),
    _command("POST /execution-instance/<sid>/cancel-tasks", instances.cancel_tasks, _INSTANCE),
    _command("POST /execution-instance/<sid>/events", instances.post_event, _INSTANCE, **_CREATES),
    _read("GET /execution-instance/<sid>/events", history.list_events, _INSTANCE),
    _read("GET /execution-instance/<sid>/explain", history.explain_instance, _INSTANCE),
    _command(
        "POST /execution-instance/<sid>/pause", instances.pause_instance, _INSTANCE, body_is_optional=True
    ),
    _command(
        "POST /execution-instance/<sid>/resume", instances.resume_instance, _INSTANCE, body_is_optional=True
    ),
    _command("POST /execution-instance/<sid>/reschedule", instances.reschedule_event, _INSTANCE),
    _command(
        "POST /execution-instance/<sid>/skip",
        instances.skip_cycles,
        _INSTANCE,
        is_idempotent=True,
        body_is_optional=True,
    ),
    _command("POST /execution-instance/<sid>/migrate", instances.migrate_an_instance, _INSTANCE),
    _command(
        "POST /execution-instance/<sid>/cancel", instances.cancel_instance, _INSTANCE, body_is_optional=True
    ),
    _command("DELETE /execution-instance/<sid>/cancel", instances.revoke_cancellation, _INSTANCE),
    _command("POST /execution-instance/<sid>/dismiss", problems.dismiss_problems, _INSTANCE),
    _read("GET /problems", problems.list_problems, _NAMED),
    _read("GET /overview", overview.get_overview),
    _read("GET /execution-event/<sid>", events.get_event, _EVENT),
    _command("POST /execution-event/<sid>/execute", events.execute_event, _EVENT),
    _command("POST /execution-event/<sid>/cancel", events.cancel_event, _EVENT),
    _command("POST /execution-event/<correlation_id>/resume", events.resume_event, _EVENT, **_ANY_ANSWER),
    _command("POST /execution-event/<sid>/resolve", events.resolve_event, _EVENT),
    _command("POST /execution-event/<sid>/retry", events.retry_an_event, _EVENT, body_is_optional=True),
    _command("POST /bulk-operation", bulk.post_bulk_operation, _NAMED, **_BEGINS, **_SELECTION),
    _read("GET /bulk-operation", bulk.list_bulk_operations),
    _read("GET /bulk-operation/<sid>", bulk.get_bulk_operation, _OPERATION),
    _command("POST /bulk-operation/<sid>/pause", bulk.pause_bulk_operation, _OPERATION),
    _command("POST /bulk-operation/<sid>/resume", bulk.resume_bulk_operation, _OPERATION),
    _command("POST /bulk-operation/<sid>/cancel", bulk.cancel_bulk_operation, _OPERATION),
    _read("GET /queue", account.get_queue),
    _command("DELETE /queue", account.delete_queue),
    _command("POST /queue", account.post_queue),
    _definition("POST /access-key", account.post_key, **_NEW),
    _definition("GET /access-key", account.list_keys),
    _definition("DELETE /access-key/<key_id>", account.delete_key, Target.KEY),
    _definition("GET /webhook", account.get_webhook, Target.WEBHOOK),
    _definition("PUT /webhook", account.put_webhook),
    _definition("DELETE /webhook", account.delete_webhook),
    _read("GET /audit", account.list_audit),
    _read("GET /app", account.get_app),
)
"""Every operation. If two paths match a request, the more literal one is listed first."""
