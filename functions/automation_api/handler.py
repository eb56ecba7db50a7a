"""The automation dialect over HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.api.automation.call import Answer, Gate, check_ids
from shared.api.automation.errors import error_id_of, failure, not_found, refusal_of
from shared.api.automation.routes import ROUTES, Route
from shared.api.http.pages import serve_pages
from shared.api.http.request import body_of
from shared.bootstrap import hasher, ports, settings

logger = Logger()
app = APIGatewayHttpResolver()


def _answered(answer: Answer) -> Response[Any]:
    return Response(answer.status, answer.media_type, answer.body, headers=answer.headers)


def _serving(route: Route) -> Callable[..., Response[Any]]:
    def served(account_id: str, **path: str) -> Response[Any]:
        event = app.current_event
        gate = Gate(ports(), hasher(), event.headers, settings().environment)
        call = gate.call(account_id, route.role, body_of(event.raw_event), event.query_string_parameters)
        check_ids(path.get("definition_id"), path.get("workflow_id"))
        return _answered(route.operation(call, **path))

    return served


for route in ROUTES:
    app.route(route.path, method=route.method)(_serving(route))
serve_pages(app, "automation", Path(__file__).parent)


def _refused(error: Exception) -> Response[Any]:
    """A refusal in the dialect's shape; of what broke on our side, only an id that the log has too."""
    context = app.current_event.request_context
    refusal, error_id = refusal_of(error), error_id_of(context.request_id)
    if refusal is not None:
        return _answered(Answer(status=refusal.status, body=refusal.body(error_id, ports().clock.now())))
    logger.error("failed", exc_info=error, extra={"errorId": error_id, "requestId": context.request_id})
    at = datetime.fromtimestamp(context.time_epoch / 1000, UTC)  # whatever is broken, the request tells this
    return _answered(Answer(status=failure().status, body=failure().body(error_id, at)))


app.not_found(lambda _: _refused(not_found("Resource")))
app.exception_handler(Exception)(_refused)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)
