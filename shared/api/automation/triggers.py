"""The trigger that starts workflows. Source: contracts/automation.md, A.1 row 11 and A.5."""

from dataclasses import replace

from shared.api.automation.call import EMPTY, Answer, Call
from shared.api.automation.definitions import definitions_of
from shared.api.automation.documents import Status, Trigger
from shared.api.automation.schemas import TriggerQuery
from shared.api.automation.versions import latest_version
from shared.api.automation.workflows import start_workflow
from shared.domain.strategy.model import StrategyHead


def post_http_request(call: Call) -> Answer:
    """Start a workflow of each enabled definition with this trigger, for all subaccounts or for the one named.

    What is sent becomes their context; what is no object, the member ``payload`` of it.
    """
    asked, body = call.asked(TriggerQuery), call.json(or_empty=True)
    context = body if isinstance(body, dict) else {"payload": body}
    repeatable = call.repeatable(f"trigger {asked.subAccountId}")
    for head in definitions_of(call):
        if _is_meant(head, asked.subAccountId):
            strategy = call.ports.strategies.load(head.sid, latest_version(head))
            named = (
                None
                if repeatable is None
                else replace(repeatable, key=f"trigger {head.sid} {repeatable.key}")
            )
            start_workflow(call, head, strategy, context, asked.subAccountId, named)
    return EMPTY


def _is_meant(head: StrategyHead, sub_account: str | None) -> bool:
    """Whether it is enabled, has the trigger, and is for the subaccount or for all."""
    labels = head.labels
    of_trigger = (labels.get("trigger"), labels.get("status")) == (Trigger.HTTP_REQUEST, Status.ENABLED)
    return of_trigger and labels.get("subAccountId") in (None, sub_account)
