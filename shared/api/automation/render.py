"""The answers about workflows and definitions. Source: docs/contracts/automation.md A.2 and A.3."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar, cast

from shared.api.automation import answers
from shared.api.automation.documents import Status
from shared.api.automation.errors import timestamp, too_much
from shared.api.automation.statuses import STATUS_OF
from shared.api.http.shapes import omit_unset
from shared.domain.instance.model import Instance
from shared.domain.instance.phase import phase_of
from shared.domain.strategy.model import StrategyHead

T = TypeVar("T")

MAX_ANSWER_BYTES = 5 * 1024 * 1024
"""Lambda refuses answers of more than 6 MB."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def definition_id_of(head: StrategyHead) -> str:
    """Return the definition id of a strategy: its name if that is a UUID, else its sid."""
    return head.name if _UUID.fullmatch(head.name) else head.sid


def workflow_shape(instance: Instance, head: StrategyHead, *, now: datetime) -> answers.WorkflowShape:
    """Return a workflow."""
    status = STATUS_OF[phase_of(instance, now=now)]
    over = instance.stop.at if instance.stop is not None and instance.status.is_final else None
    return {
        "workflowId": instance.sid,
        "data": data_of(instance),
        "definitionId": definition_id_of(head),
        "version": instance.strategy_version,
        "status": status,
        "startedAt": timestamp(instance.created_at),
        "completedAt": None if over is None else timestamp(over),
    }


@omit_unset
def with_logs(
    workflow: answers.WorkflowShape, logs: list[answers.StepLog] | None
) -> answers.WorkflowWithLogsShape:
    """Return a workflow with the executions of its steps, or without them if ``logs`` is None."""
    return {**workflow, "logs": logs}


def data_of(instance: Instance) -> answers.WorkflowData:
    """Return the context of a workflow. An instance that another dialect made gets the vendor's members too."""
    given = answers.WorkflowData(accountId=instance.account_id, triggeredAt=triggered_at(instance.created_at))
    return cast(answers.WorkflowData, given | dict(instance.attributes))


def triggered_at(at: datetime) -> str:
    """Return an instant with seven digits of a second: ``2021-06-30T03:20:39.3857479Z``."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}0Z"


def definition_shape(head: StrategyHead, version: int, source: Mapping[str, Any]) -> answers.DefinitionShape:
    """Return a definition as it was sent, with its id and version at both places of the vendor's documents."""
    sub_account = source.get("subAccountId", source.get("subaccountId"))
    definition_id = definition_id_of(head)
    shape = answers.DefinitionMembers(
        accountId=head.account_id,
        trigger=source["trigger"],
        status=source.get("status") or Status.DISABLED,
        id=definition_id,
        version=version,
        createdAt=timestamp(head.created_at),
        definition={
            "id": definition_id,
            "name": source["definition"]["name"],
            "steps": source["definition"]["steps"],
            "version": version,
        },
    )
    if sub_account is not None:
        shape["subAccountId"] = sub_account
    definition = {**source["definition"], **shape["definition"]}
    return cast(answers.DefinitionShape, {**source, **shape, "definition": definition})


def page(shapes: list[T]) -> list[T]:
    """Return a list. Raises: AutomationError (400): if it is too large for an answer."""
    # A shortened list would look like the last page to clients, which page by offset.
    if len(json.dumps(shapes)) > MAX_ANSWER_BYTES:
        raise too_much(f"The answer is larger than {MAX_ANSWER_BYTES // 1024 // 1024} MB; lower limit.")
    return shapes
