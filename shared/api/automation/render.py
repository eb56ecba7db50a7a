"""Workflows and definitions in the automation dialect's shapes. Source: contracts/automation.md A.2 and A.3."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.api.automation.errors import timestamp, too_much
from shared.api.automation.statuses import STATUS_OF
from shared.domain.instance.model import Instance
from shared.domain.instance.phase import phase_of
from shared.domain.strategy.model import StrategyHead

Shape = dict[str, Any]

MAX_ANSWER_BYTES = 5 * 1024 * 1024
"""Lambda answers with at most 6 MB."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def definition_id_of(head: StrategyHead) -> str:
    """What this dialect calls a strategy: by its name where that is a UUID, else by its sid."""
    return head.name if _UUID.fullmatch(head.name) else head.sid


def workflow_shape(instance: Instance, head: StrategyHead, *, now: datetime) -> Shape:
    """A workflow."""
    status = STATUS_OF[phase_of(instance, now=now)]
    over = instance.stop.at if instance.stop is not None and instance.status.is_final else None
    return {
        "workflowId": instance.sid,
        "data": data_of(instance),
        "definitionId": definition_id_of(head),
        "version": instance.strategy_version,
        "status": status.value,
        "startedAt": timestamp(instance.created_at),
        "completedAt": None if over is None else timestamp(over),
    }


def data_of(instance: Instance) -> Shape:
    """The context of a workflow; one that was made elsewhere is given what every context has."""
    given = {"accountId": instance.account_id, "triggeredAt": triggered_at(instance.created_at)}
    return given | dict(instance.attributes)


def triggered_at(at: datetime) -> str:
    """An instant with seven digits of a second: ``2021-06-30T03:20:39.3857479Z``."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}0Z"


def definition_shape(head: StrategyHead, version: int, source: Mapping[str, Any]) -> Shape:
    """A definition as it was sent, with what it was given here, at both places the vendor's documents show it."""
    sub_account = source.get("subAccountId", source.get("subaccountId"))
    named = {"id": definition_id_of(head), "version": version}
    return {
        **source,
        "accountId": head.account_id,
        **({} if sub_account is None else {"subAccountId": sub_account}),
        "status": source.get("status") or "disabled",
        **named,
        "createdAt": timestamp(head.created_at),
        "definition": {**source["definition"], **named},
    }


def page(shapes: list[Shape]) -> list[Shape]:
    """A list that can be answered. Else 400."""
    if len(json.dumps(shapes)) > MAX_ANSWER_BYTES:
        raise too_much(f"The answer would take more than {MAX_ANSWER_BYTES // 1024 // 1024} MB: lower limit.")
    return shapes
