"""The process dialect over HTTP."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.api.http.pages import serve_pages
from shared.api.http.request import body_of
from shared.api.process.call import Call, principal_for
from shared.api.process.errors import NO_SUCH_PROCESS, failure, refusal_of
from shared.api.process.routes import ROUTES, Route
from shared.bootstrap import hasher, ports, settings

logger = Logger()
app = APIGatewayHttpResolver()


def _answered(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response[Any]:  # noqa: ANN401 - any JSON value
    return Response(
        status, "application/json", body, headers={"Cache-Control": "no-store", **(headers or {})}
    )


def _serving(route: Route) -> Callable[..., Response[Any]]:
    def served(**path: str) -> Response[Any]:
        event = app.current_event
        principal = principal_for(route.role, event.headers.get("authorization"), ports(), hasher())
        text, zone = body_of(event.raw_event), settings().connector_timezone
        call = Call(
            ports=ports(),
            hasher=hasher(),
            principal=principal,
            text=text,
            usual_zone=zone,
            key=event.headers.get("idempotency-key"),
        )
        return _answered(*route.operation(call, **path))

    return served


for route in ROUTES:
    app.route(route.path, method=route.method)(_serving(route))
serve_pages(app, "process", Path(__file__).parent)


def _refused(error: Exception) -> Response[Any]:
    """A refusal in the dialect's shape; of what broke on our side, only an id that the log has too."""
    refusal = refusal_of(error)
    if refusal is not None:
        return _answered(refusal.status, refusal.body(), refusal.headers)
    error_id = app.current_event.request_context.request_id
    logger.error("failed", exc_info=error, extra={"errorId": error_id})
    return _answered(*failure(error_id))


app.not_found(lambda _: _refused(NO_SUCH_PROCESS))
app.exception_handler(Exception)(_refused)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)
