"""The routes of the core dialect: one row an operation, which says who may and what it takes.

Everything that is true of all of them (who gets in, documents, tests) is derived from this table.
Source: contracts/core.md sections 1.1 and 5.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from pydantic import BaseModel

from shared.api.core import account, bulk, events, history, instances, strategies
from shared.api.core.bulk_schemas import BeginOperation
from shared.api.core.call import Answer
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
from shared.domain.access import Role


class Opens(Enum):
    """What a request names and so has to know the Strategy-Secret of."""

    NOTHING = auto()
    STRATEGY = auto()
    """The strategy in the path."""
    NAMED_STRATEGY = auto()
    """The strategy in body or query, where one is named there."""
    INSTANCE = auto()
    EVENT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation. answer: the name of its answer's shape in the OpenAPI document.

    creates: takes an Idempotency-Key. goes_on: answers before it is done, with 202, where that takes long.
    """

    method: str
    path: str
    operation: Callable[..., Answer]
    role: Role
    answer: str
    opens: Opens = Opens.NOTHING
    body: type[BaseModel] | None = None
    body_is_optional: bool = False
    query: type[BaseModel] | None = None
    creates: bool = False
    goes_on: bool = False


def _read(method: str, path: str, operation: Callable[..., Answer], answer: str, **more: Any) -> Route:  # noqa: ANN401 - fields of a route
    return Route(method=method, path=path, operation=operation, answer=answer, role=Role.VIEWER, **more)


def _command(method: str, path: str, operation: Callable[..., Answer], answer: str, **more: Any) -> Route:  # noqa: ANN401 - fields of a route
    return Route(method=method, path=path, operation=operation, answer=answer, role=Role.OPERATOR, **more)


def _definition(method: str, path: str, operation: Callable[..., Answer], answer: str, **more: Any) -> Route:  # noqa: ANN401 - fields of a route
    return Route(method=method, path=path, operation=operation, answer=answer, role=Role.ADMIN, **more)


_STRATEGY, _INSTANCE, _EVENT = "/execution-strategy", "/execution-instance", "/execution-event"
_OF_STRATEGY, _OF_INSTANCE, _OF_EVENT = (
    {"opens": opens} for opens in (Opens.STRATEGY, Opens.INSTANCE, Opens.EVENT)
)
_OPERATION = "/bulk-operation"
_NAMED = {"opens": Opens.NAMED_STRATEGY}

ROUTES: tuple[Route, ...] = (
    _definition("POST", _STRATEGY, strategies.post_strategy, "Strategy", body=CreateStrategy, creates=True),
    _read("GET", _STRATEGY, strategies.list_strategies, "StrategyPage", query=PageQuery),
    _read("POST", f"{_STRATEGY}/validate", strategies.validate_strategy, "Validation", body=ValidateStrategy),
    _read("GET", f"{_STRATEGY}/<sid>", strategies.get_strategy, "StrategyWithSettings", **_OF_STRATEGY),
    _definition(
        "PATCH",
        f"{_STRATEGY}/<sid>",
        strategies.patch_strategy,
        "Strategy",
        body=UpdateStrategy,
        **_OF_STRATEGY,
    ),
    _definition("DELETE", f"{_STRATEGY}/<sid>", strategies.delete_a_strategy, "Strategy", **_OF_STRATEGY),
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
        "POST", _INSTANCE, instances.post_instance, "Created", body=CreateInstance, creates=True, **_NAMED
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
        creates=True,
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
        creates=True,
        goes_on=True,
        **_NAMED,
    ),
    _read("GET", _OPERATION, bulk.list_bulk_operations, "BulkOperationPage", query=PageQuery),
    _read("GET", f"{_OPERATION}/<sid>", bulk.get_bulk_operation, "BulkOperation"),
    _command("POST", f"{_OPERATION}/<sid>/pause", bulk.pause_bulk_operation, "BulkOperation"),
    _command("POST", f"{_OPERATION}/<sid>/resume", bulk.resume_bulk_operation, "BulkOperation"),
    _command("POST", f"{_OPERATION}/<sid>/cancel", bulk.cancel_bulk_operation, "BulkOperation"),
    _read("GET", "/queue", account.get_queue, "Queue"),
    _command("DELETE", "/queue", account.delete_queue, "Empty"),
    _command("POST", "/queue", account.post_queue, "Empty"),
    _definition("POST", "/access-key", account.post_key, "NewKey", body=CreateKey),
    _definition("GET", "/access-key", account.list_keys, "KeyPage", query=PageQuery),
    _definition("DELETE", "/access-key/<key_id>", account.delete_key, "Key"),
    _read("GET", "/audit", account.list_audit, "AuditPage", query=AuditQuery),
    _read("GET", "/app", account.get_app, "App"),
)
"""Every operation. The more literal of two paths comes first."""
