"""The core dialect over HTTP."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.api.core.call import Call
from shared.api.core.errors import failure, not_found, refusal_of
from shared.api.core.gate import Gate
from shared.api.core.routes import ROUTES, Route
from shared.api.http.pages import serve_pages
from shared.api.http.request import body_of
from shared.bootstrap import deployment, hasher, ports

logger = Logger()
app = APIGatewayHttpResolver()


def _answered(status: int, body: Any) -> Response[Any]:  # noqa: ANN401 - any JSON value
    return Response(status, "application/json", body, headers={"Cache-Control": "no-store"})


def _serving(route: Route) -> Callable[..., Response[Any]]:
    def served(**path: str) -> Response[Any]:
        event = app.current_event
        gate = Gate(ports=ports(), hasher=hasher(), headers=event.headers)
        principal, text = gate.principal(route.role), body_of(event.raw_event)
        query = event.query_string_parameters
        call = Call(gate=gate, principal=principal, text=text, query=query, deployment=deployment())
        return _answered(*route.operation(call, **path))

    return served


for route in ROUTES:
    app.route(route.path, method=route.method)(_serving(route))
serve_pages(app, "core", Path(__file__).parent)


def _refused(error: Exception) -> Response[Any]:
    """A refusal in the dialect's shape; of what broke on our side, only an id that the log has too."""
    refusal = refusal_of(error)
    if refusal is not None:
        return _answered(refusal.status, refusal.body())
    error_id = app.current_event.request_context.request_id
    logger.error("failed", exc_info=error, extra={"errorId": error_id})
    return _answered(*failure(error_id))


app.not_found(lambda _: _refused(not_found("path")))
app.exception_handler(Exception)(_refused)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)
