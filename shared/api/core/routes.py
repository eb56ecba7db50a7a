"""The routes of the core dialect: one row for each operation.

The gateway checks and reads every request by its row; the OpenAPI document and tests are derived from it too.
Source: contracts/core.md sections 1.1 and 5.
"""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from shared.api.core import account, bulk, events, history, instances, strategies
from shared.api.core.bulk_schemas import BeginOperation
from shared.api.core.schemas import (
    AddAnEvent,
    AnyObject,
    AuditQuery,
    CreateInstance,
    CreateKey,
    CreateStrategy,
    ExplainQuery,
    ForecastQuery,
    InstancesQuery,
    MigrateInstance,
    PageQuery,
    ResolveEvent,
    ResumeInstance,
    RetryAnEvent,
    SimulateExecution,
    TasksQuery,
    UpdateInstance,
    UpdateStrategy,
    ValidateStrategy,
)
from shared.api.http.route import Answer, Route, Target
from shared.domain.access import Role

_CREATES = {"is_idempotent": True, "statuses": (HTTPStatus.OK, HTTPStatus.CREATED)}
_NEW = {"statuses": (HTTPStatus.CREATED,)}


def _row(
    role: Role,
    method: str,
    path: str,
    operation: Callable[..., Answer],
    answer: str,
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
_STRATEGY, _INSTANCE, _EVENT = "/execution-strategy", "/execution-instance", "/execution-event"
_OPERATION, _KEY = "/bulk-operation", "/access-key"
_OF_STRATEGY, _OF_INSTANCE, _OF_EVENT, _OF_OPERATION, _OF_KEY = (
    {"target": target}
    for target in (Target.STRATEGY, Target.INSTANCE, Target.EVENT, Target.OPERATION, Target.KEY)
)
_NAMED = {"target": Target.NAMED_STRATEGY}

ROUTES: tuple[Route, ...] = (
    _definition(
        "POST",
        _STRATEGY,
        strategies.post_strategy,
        "Strategy",
        body=CreateStrategy,
        read=strategies.read_with_settings,
        **_CREATES,
    ),
    _read("GET", _STRATEGY, strategies.list_strategies, "StrategyPage", query=PageQuery),
    _read(
        "POST",
        f"{_STRATEGY}/validate",
        strategies.validate_strategy,
        "Validation",
        body=ValidateStrategy,
        read=strategies.read_all_problems,
    ),
    _read("GET", f"{_STRATEGY}/<sid>", strategies.get_strategy, "StrategyWithSettings", **_OF_STRATEGY),
    _definition(
        "PATCH",
        f"{_STRATEGY}/<sid>",
        strategies.patch_strategy,
        "Strategy",
        body=UpdateStrategy,
        read=strategies.read_with_settings,
        **_OF_STRATEGY,
    ),
    _definition(
        "DELETE",
        f"{_STRATEGY}/<sid>",
        strategies.delete_a_strategy,
        "Strategy",
        target=Target.STRATEGY_OR_DELETED,
    ),
    _command("POST", f"{_STRATEGY}/<sid>/pause", strategies.pause_a_strategy, "Strategy", **_OF_STRATEGY),
    _command("POST", f"{_STRATEGY}/<sid>/resume", strategies.resume_a_strategy, "Strategy", **_OF_STRATEGY),
    _read(
        "POST",
        f"{_STRATEGY}/<sid>/simulate-execution",
        strategies.simulate_execution,
        "Simulation",
        body=SimulateExecution,
        **_OF_STRATEGY,
    ),
    _read(
        "GET",
        f"{_STRATEGY}/<sid>/versions",
        strategies.list_versions,
        "VersionPage",
        query=PageQuery,
        **_OF_STRATEGY,
    ),
    _read("GET", f"{_STRATEGY}/<sid>/versions/<version>", strategies.get_version, "Version", **_OF_STRATEGY),
    _command(
        "POST",
        _INSTANCE,
        instances.post_instance,
        "Created",
        body=CreateInstance,
        read=instances.read_creation,
        **_CREATES,
        **_NAMED,
    ),
    _read("GET", _INSTANCE, instances.list_instances, "InstancePage", query=InstancesQuery, **_NAMED),
    _read("GET", f"{_INSTANCE}/<sid>", instances.get_instance, "Instance", **_OF_INSTANCE),
    _command(
        "PATCH",
        f"{_INSTANCE}/<sid>",
        instances.patch_instance,
        "Instance",
        body=UpdateInstance,
        **_OF_INSTANCE,
    ),
    _read(
        "GET",
        f"{_INSTANCE}/<sid>/forecast",
        instances.get_forecast,
        "Forecast",
        query=ForecastQuery,
        **_OF_INSTANCE,
    ),
    _read("GET", f"{_INSTANCE}/<sid>/get-tasks", instances.get_tasks, "Events", **_OF_INSTANCE),
    _command(
        "POST",
        f"{_INSTANCE}/<sid>/cancel-tasks",
        instances.cancel_tasks,
        "TasksCanceled",
        query=TasksQuery,
        **_OF_INSTANCE,
    ),
    _command(
        "POST",
        f"{_INSTANCE}/<sid>/events",
        instances.post_event,
        "Event",
        body=AddAnEvent,
        **_CREATES,
        **_OF_INSTANCE,
    ),
    _read(
        "GET",
        f"{_INSTANCE}/<sid>/events",
        history.list_events,
        "HistoryPage",
        query=PageQuery,
        **_OF_INSTANCE,
    ),
    _read(
        "GET",
        f"{_INSTANCE}/<sid>/explain",
        history.explain_instance,
        "Explanation",
        query=ExplainQuery,
        **_OF_INSTANCE,
    ),
    _command("POST", f"{_INSTANCE}/<sid>/pause", instances.pause_instance, "Paused", **_OF_INSTANCE),
    _command(
        "POST",
        f"{_INSTANCE}/<sid>/resume",
        instances.resume_instance,
        "Resumed",
        body=ResumeInstance,
        body_is_optional=True,
        **_OF_INSTANCE,
    ),
    _command(
        "POST",
        f"{_INSTANCE}/<sid>/migrate",
        instances.migrate_an_instance,
        "Migration",
        body=MigrateInstance,
        **_OF_INSTANCE,
    ),
    _command("POST", f"{_INSTANCE}/<sid>/cancel", instances.cancel_instance, "Canceled", **_OF_INSTANCE),
    _read("GET", f"{_EVENT}/<sid>", events.get_event, "WrappedEvent", **_OF_EVENT),
    _command("POST", f"{_EVENT}/<sid>/execute", events.execute_event, "Event", **_OF_EVENT),
    _command("POST", f"{_EVENT}/<sid>/cancel", events.cancel_event, "Event", **_OF_EVENT),
    _command(
        "POST",
        f"{_EVENT}/<correlation_id>/resume",
        events.resume_event,
        "Event",
        body=AnyObject,
        read=events.read_answer,
        body_is_optional=True,
        **_OF_EVENT,
    ),
    _command(
        "POST",
        f"{_EVENT}/<sid>/resolve",
        events.resolve_event,
        "Event",
        body=ResolveEvent,
        **_OF_EVENT,
    ),
    _command(
        "POST",
        f"{_EVENT}/<sid>/retry",
        events.retry_an_event,
        "Event",
        body=RetryAnEvent,
        body_is_optional=True,
        **_OF_EVENT,
    ),
    _command(
        "POST",
        _OPERATION,
        bulk.post_bulk_operation,
        "BulkAnswer",
        body=BeginOperation,
        read=bulk.read_beginning,
        is_idempotent=True,
        statuses=(HTTPStatus.OK, HTTPStatus.ACCEPTED),
        **_NAMED,
    ),
    _read("GET", _OPERATION, bulk.list_bulk_operations, "BulkOperationPage", query=PageQuery),
    _read("GET", f"{_OPERATION}/<sid>", bulk.get_bulk_operation, "BulkOperation", **_OF_OPERATION),
    _command(
        "POST", f"{_OPERATION}/<sid>/pause", bulk.pause_bulk_operation, "BulkOperation", **_OF_OPERATION
    ),
    _command(
        "POST", f"{_OPERATION}/<sid>/resume", bulk.resume_bulk_operation, "BulkOperation", **_OF_OPERATION
    ),
    _command(
        "POST", f"{_OPERATION}/<sid>/cancel", bulk.cancel_bulk_operation, "BulkOperation", **_OF_OPERATION
    ),
    _read("GET", "/queue", account.get_queue, "Queue"),
    _command("DELETE", "/queue", account.delete_queue, "Empty"),
    _command("POST", "/queue", account.post_queue, "Empty"),
    _definition("POST", _KEY, account.post_key, "NewKey", body=CreateKey, **_NEW),
    _definition("GET", _KEY, account.list_keys, "KeyPage", query=PageQuery),
    _definition("DELETE", f"{_KEY}/<key_id>", account.delete_key, "Key", **_OF_KEY),
    _read("GET", "/audit", account.list_audit, "AuditPage", query=AuditQuery),
    _read("GET", "/app", account.get_app, "App"),
)
"""Every operation. The more literal of two paths comes first."""
