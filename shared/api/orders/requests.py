"""Read the bodies of the orders dialect. Source: docs/contracts/orders.md B.2 and B.3."""

from shared.api.http.models import M, read_as, read_json
from shared.api.http.request import Request
from shared.api.orders.errors import Code, JocError, schema_error
from shared.api.orders.schemas import AuditLog, Body
from shared.domain.instance.verdict import Actor


def read_body(request: Request, model: type[M]) -> M:
    """Return the body. Raises: JocError: if it is invalid or names another controller; InvalidBodyError."""
    parsed, problems = read_as(model, read_json(request, optional=True))
    if parsed is None:
        raise schema_error(problems)
    # A controller of the vendor is an account here.
    controller = getattr(parsed, "controllerId", None)
    if controller not in (None, request.principal.account_id):
        raise JocError(Code.NO_CONTROLLER, f"unknown controller {controller!r}")
    return parsed


def actor_of(request: Request, log: AuditLog, *options: str) -> Actor:
    """Return the caller with the reason. Raises: JocError: if a comment is missing that the deployment demands."""
    if request.deployment.joc_force_comments and not log.comment:
        raise JocError(Code.NO_COMMENT, "missing comment")
    return Actor(
        name=request.principal.key_id,
        reason=log.comment or None,
        minutes_spent=log.timeSpent,
        ticket=log.ticketLink or None,
        options=options,
    )


def options_of(body: Body, *names: str) -> tuple[str, ...]:
    """Return the names of those of these flags that are set."""
    return tuple(name for name in names if getattr(body, name))
