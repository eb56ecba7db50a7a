"""The operations on workflows. Source: contracts/automation.md, A.1 rows 6 to 10."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from shared.api.automation.call import EMPTY, Answer, Call
from shared.api.automation.errors import invalid, not_found, too_much
from shared.api.automation.logs import errors, logs
from shared.api.automation.render import definition_id_of, page, triggered_at, workflow_shape
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
from shared.application.control import control
from shared.application.find_instances import Sought, TooManyToLookAtError, found
from shared.application.ports import UnknownStrategyError
from shared.application.start import Repeatable, StartInstance, start_instance
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.phase import phase_of
from shared.domain.instance.verdict import RefusalRule, Refused
from shared.domain.strategy.model import Strategy, StrategyHead


def list_workflows(call: Call, definition_id: str) -> Answer:
    """The workflows of a definition, youngest first; of its latest version, where none is given."""
    asked = call.asked(WorkflowsQuery)
    head = call.definition(definition_id)
    version = latest_version(head) if asked.version is None else asked.version
    if version in versions_deleted(head):
        return Answer(body=[])
    sought = Sought(
        strategy=head.sid,
        statuses=tuple(InstanceStatus) if asked.status is None else (INSTANCES_OF[asked.status],),
        version=version,
        created_from=asked.startTimeFrom,
        created_to=asked.startTimeTo,
    )
    try:
        instances = found(call.ports, sought, offset=asked.offset, limit=asked.limit)
    except TooManyToLookAtError as error:
        raise too_much("Too many workflows: narrow startTimeFrom and startTimeTo.") from error
    now = call.ports.clock.now()
    return Answer(body=page([workflow_shape(instance, head, now=now) for instance in instances]))


def get_workflow(call: Call, definition_id: str, workflow_id: str) -> Answer:
    """A workflow, with ``includeLogs`` also the executions of its steps."""
    asked = call.asked(WorkflowQuery)
    head = call.definition(definition_id)
    instance = call.workflow(head, workflow_id)
    shape = workflow_shape(instance, head, now=call.ports.clock.now())
    return Answer(body={**shape, "logs": logs(call.ports, instance)} if asked.includeLogs else shape)


def list_errors(call: Call, definition_id: str, workflow_id: str) -> Answer:
    """What went wrong with a workflow, oldest first."""
    instance = call.workflow(call.definition(definition_id), workflow_id)
    return Answer(body=errors(call.ports, instance))


def patch_workflow(call: Call, definition_id: str, workflow_id: str) -> Answer:
    """Suspend a workflow that is in progress, resume a suspended one, or terminate it for good."""
    command, actor = _command(call), call.actor
    instance = call.workflow(call.definition(definition_id), workflow_id)
    verdict = control(call.ports, instance.sid, COMMAND_OF[command](by=actor))
    if verdict is None:
        raise not_found(f"Workflow {workflow_id}")
    if IS_DONE[command, type(verdict)]:
        return EMPTY
    status = STATUS_OF[phase_of(verdict.instance, now=call.ports.clock.now())]
    why = f"its status is {status}"
    if isinstance(verdict, Refused) and verdict.rule is not RefusalRule.STATE:
        why = verdict.why
    raise invalid(f"Workflow {workflow_id} cannot be {PAST[command]} because {why}.")


def post_workflow(call: Call, definition_id: str) -> Answer:
    """Start a workflow, of a disabled definition too; of its latest version, where none is given."""
    asked = call.asked(VersionQuery)
    context = call.json_object(or_empty=True)
    head = call.definition(definition_id)
    version = latest_version(head) if asked.version is None else asked.version
    strategy = _version(call, head, version, definition_id)
    repeatable = call.repeatable(f"workflow {head.sid} {asked.version}")
    sid = start_workflow(call, head, strategy, context, None, repeatable)
    path = (
        f"/api/v1/accounts/{call.principal.account_id}/definitions/{definition_id_of(head)}/workflows/{sid}"
    )
    return Answer(status=HTTPStatus.CREATED, body={"workflowId": sid}, location=path)


def start_workflow(
    call: Call,
    head: StrategyHead,
    strategy: Strategy,
    context: Mapping[str, Any],
    sub_account: str | None,
    repeatable: Repeatable | None,
) -> str:
    """The sid of a new workflow, which runs once, now. Its context is what was sent and what every one has.

    One of a strategy that another dialect has made gets only what was sent.
    """
    now = call.ports.clock.now()
    given = {"accountId": call.principal.account_id, "triggeredAt": triggered_at(now)}
    if sub_account is not None:
        given["subAccountId"] = sub_account
    asked = StartInstance(
        strategy_id=head.name,
        attributes={**context, **given} if is_definition(head) else context,
        by=call.actor.name,
        repeatable=repeatable,
        schedule=OwnSchedule(),
    )
    return start_instance(call.ports, strategy, asked).instance.sid


def _version(call: Call, head: StrategyHead, version: int, definition_id: str) -> Strategy:
    unknown = not_found(f"Definition {definition_id} version {version}")
    if version in versions_deleted(head):
        raise unknown
    try:
        return call.ports.strategies.load(head.sid, version)
    except UnknownStrategyError as error:
        raise unknown from error


def _command(call: Call) -> Command:
    told = call.json_object().get("status")
    if not isinstance(told, str) or told not in list(Command):
        raise invalid("Invalid status.")
    return Command(told)
