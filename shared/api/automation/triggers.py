"""The HTTP trigger of workflows. Source: docs/contracts/automation.md, A.1 row 11 and A.5."""

from msgspec.structs import replace

from shared.api.automation.definitions import definitions_of
from shared.api.automation.documents import Status, Trigger
from shared.api.automation.schemas import TriggerQuery
from shared.api.automation.versions import latest_version
from shared.api.automation.workflows import start_workflow
from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.application.ports import UnknownStrategyError, Unreadable
from shared.domain.errors import RitornelloError, StoredShapeError
from shared.domain.strategy.model import Json, StrategyHead


def post_http_request(request: Request, query: TriggerQuery, body: Json) -> Answer[None]:
    """Start a workflow of each enabled definition with this trigger, for all subaccounts or for the one named.

    An object in the body becomes the context of the workflows; any other value becomes its member ``payload``.
    Raises: RitornelloError, UnknownStrategyError: a definition cannot be read; the workflows of the others are started.
    """
    broken: Exception | None = None
    context = body if isinstance(body, dict) else {"payload": body}
    repeatable = request.repeatable(f"trigger {query.subAccountId}")
    for head in definitions_of(request):
        if isinstance(head, Unreadable):
            broken = broken or StoredShapeError(f"{head.key}: {head.why}")
            continue
        if not _is_meant(head, query.subAccountId):
            continue
        try:
            strategy = request.ports.strategies.load(head.sid, latest_version(head))
        except (RitornelloError, UnknownStrategyError) as error:
            broken = broken or error
            continue
        # One request starts several workflows, so each needs a key of its own.
        named = (
            None if repeatable is None else replace(repeatable, key=f"trigger {head.sid} {repeatable.key}")
        )
        start_workflow(request, head, strategy, context, query.subAccountId, named)
    if broken is not None:
        raise broken
    return Answer(body=None)


def _is_meant(head: StrategyHead, sub_account: str | None) -> bool:
    """Return whether a definition is enabled, has the trigger, and is for the subaccount or for all."""
    labels = head.labels
    of_trigger = (labels.get("trigger"), labels.get("status")) == (Trigger.HTTP_REQUEST, Status.ENABLED)
    return of_trigger and labels.get("subAccountId") in (None, sub_account)
