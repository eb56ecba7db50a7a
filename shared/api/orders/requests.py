"""Read the bodies of the orders dialect. Source: docs/contracts/orders.md B.2 and B.3."""

from shared.api.http.models import M, read_as, read_json
from shared.api.http.request import Request
from shared.api.orders.errors import Code, JocError, schema_error
from shared.api.orders.schemas import FILTERS, AuditLog, Body
from shared.domain.instance.verdict import Actor


def read_body(request: Request, model: type[M]) -> M:
    """Return the body. Raises: JocError: if it is invalid or names another controller; InvalidBodyError."""
    body = read_json(request, optional=True)
    parsed, problems = read_as(model, body)
    if parsed is None:
        raise schema_error(problems)
    unserved = [name for name in FILTERS if name not in model.model_fields and _is_set(body.get(name))]
    if unserved:
        names = ", ".join(repr(name) for name in unserved)
        raise JocError(Code.BAD_REQUEST, f"{names} not supported here: no filter is ignored")
    # A controller of the vendor is an account here.
    controller = getattr(parsed, "controllerId", None)
    if controller not in (None, request.principal.account_id):
        raise JocError(Code.NO_CONTROLLER, f"unknown controller {controller!r}")
    return parsed


def _is_set(value: object) -> bool:
    """Return whether a filter selects anything. Clients send null, false and empty values for unused ones."""
    return value is not None and value is not False and value not in ("", [], {})


def actor_of(request: Request, log: AuditLog, *options: str) -> Actor:
    """Return the caller with the reason. Raises: JocError: if a comment is missing that the deployment demands."""
    if request.deployment.joc_force_comments and not log.comment:
        raise JocError(Code.NO_COMMENT, "missing comment")
    return Actor(
        name=request.principal.name,
        reason=log.comment or None,
        minutes_spent=log.timeSpent,
        ticket=log.ticketLink or None,
        options=options,
    )


def options_of(body: Body, *names: str) -> tuple[str, ...]:
    """Return the names of those of these flags that are set."""
    return tuple(name for name in names if getattr(body, name))
