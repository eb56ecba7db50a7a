"""Operations on workflows. Source: docs/contracts/automation.md, A.1 rows 6 to 10."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from shared.api.automation.answers import ErrorsShape, StartedShape, WorkflowsShape, WorkflowWithLogsShape
from shared.api.automation.errors import not_found, refused_command, too_much
from shared.api.automation.logs import errors, logs
from shared.api.automation.named import definition_named, workflow_named
from shared.api.automation.render import definition_id_of, page, triggered_at, with_logs, workflow_shape
from shared.api.automation.schemas import VersionQuery, WorkflowQuery, WorkflowsQuery
from shared.api.automation.statuses import (
    COMMAND_OF,
    INSTANCES_OF,
    IS_DONE,
    PAST,
    STATUS_OF,
    Command,
)
from shared.api.automation.versions import is_definition, latest_version, versions_deleted
from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.api.http.unreadable import UnreadableItems
from shared.application.control import control
from shared.application.find_instances import InstanceQuery, TooManyScannedError, find_instances
from shared.application.ports import UnknownStrategyError
from shared.application.start import Repeatable, StartInstance, start_instance
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.phase import phase_of
from shared.domain.instance.verdict import RefusalRule, Refused
from shared.domain.strategy.model import Strategy, StrategyHead


def list_workflows(request: Request, definition_id: str, query: WorkflowsQuery) -> Answer[WorkflowsShape]:
    """List the workflows of a definition, youngest first; by default those of its latest version."""
    head = definition_named(request, definition_id)
    version = latest_version(head) if query.version is None else query.version
    if version in versions_deleted(head):
        return Answer(body=[])
    sought = InstanceQuery(
        strategy=head.sid,
        statuses=tuple(InstanceStatus) if query.status is None else (INSTANCES_OF[query.status],),
        version=version,
        created_from=query.startTimeFrom,
        created_to=query.startTimeTo,
    )
    try:
        found = find_instances(request.ports, sought, offset=query.offset, limit=query.limit)
    except TooManyScannedError as error:
        raise too_much("Too many workflows; narrow startTimeFrom and startTimeTo.") from error
    unreadable = UnreadableItems()
    unreadable.add(found.unreadable)
    shapes = page([workflow_shape(instance, head, now=request.now) for instance in found.instances])
    return Answer(body=shapes, headers=unreadable.headers())


def get_workflow(
    request: Request, definition_id: str, workflow_id: str, query: WorkflowQuery
) -> Answer[WorkflowWithLogsShape]:
    """Return a workflow; with ``includeLogs`` also the executions of its steps."""
    head = definition_named(request, definition_id)
    instance = workflow_named(request, head, workflow_id)
    unreadable = UnreadableItems()
    executions = logs(request.ports, instance, unreadable) if query.includeLogs else None
    shape = with_logs(workflow_shape(instance, head, now=request.now), executions)
    return Answer(body=shape, headers=unreadable.headers())


def list_errors(request: Request, definition_id: str, workflow_id: str) -> Answer[ErrorsShape]:
    """List the errors of a workflow, oldest first."""
    instance = workflow_named(request, definition_named(request, definition_id), workflow_id)
    unreadable = UnreadableItems()
    found = errors(request.ports, instance, unreadable)
    return Answer(body=found, headers=unreadable.headers())


def patch_workflow(request: Request, definition_id: str, workflow_id: str, body: Command) -> Answer[None]:
    """Suspend a workflow that is in progress, resume a suspended one, or terminate it."""
    instance = workflow_named(request, definition_named(request, definition_id), workflow_id)
    command = COMMAND_OF[body](by=request.actor)
    verdict = control(request.ports, instance.sid, command, known=instance)
    if verdict is None:
        raise not_found(f"Workflow {workflow_id}")
    # The vendor answers a repeated suspend or resume with an error, unlike the engine.
    if IS_DONE[body, type(verdict)]:
        return Answer(body=None)
    rule = verdict.rule if isinstance(verdict, Refused) else RefusalRule.STATE
    why = f"its status is {STATUS_OF[phase_of(verdict.instance, now=request.now)]}"
    if isinstance(verdict, Refused) and rule is not RefusalRule.STATE:
        why = verdict.why
    raise refused_command(rule, f"Workflow {workflow_id} cannot be {PAST[body]} because {why}.")


def post_workflow(
    request: Request, definition_id: str, query: VersionQuery, body: Mapping[str, Any]
) -> Answer[StartedShape]:
    """Start a workflow, even of a disabled definition; by default of its latest version."""
    head = definition_named(request, definition_id)
    version = latest_version(head) if query.version is None else query.version
    strategy = _version(request, head, version, definition_id)
    repeatable = request.repeatable(f"workflow {head.sid} {query.version}")
    sid = start_workflow(request, head, strategy, body, None, repeatable)
    path = f"/api/v1/accounts/{request.principal.account_id}/definitions/{definition_id_of(head)}/workflows/{sid}"
    return Answer(status=HTTPStatus.CREATED, body={"workflowId": sid}, headers={"Location": path})


def start_workflow(
    request: Request,
    head: StrategyHead,
    strategy: Strategy,
    context: Mapping[str, Any],
    sub_account: str | None,
    repeatable: Repeatable | None,
) -> str:
    """Start a workflow that runs once, now, and return its sid.

    Its context is the one sent, with the vendor's members. If another dialect made the strategy, only the one sent.
    """
    now = request.now
    given = {"accountId": request.principal.account_id, "triggeredAt": triggered_at(now)}
    if sub_account is not None:
        given["subAccountId"] = sub_account
    # Our members come last, so that a context cannot replace them.
    start = StartInstance(
        strategy_id=head.name,
        attributes={**context, **given} if is_definition(head) else context,
        by=request.actor.name,
        repeatable=repeatable,
        schedule=OwnSchedule(),
    )
    return start_instance(request.ports, strategy, start).instance.sid


def _version(request: Request, head: StrategyHead, version: int, definition_id: str) -> Strategy:
    unknown = not_found(f"Definition {definition_id} version {version}")
    if version in versions_deleted(head):
        raise unknown
    try:
        return request.ports.strategies.load(head.sid, version)
    except UnknownStrategyError as error:
        raise unknown from error
