"""The core dialect over HTTP."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.api.core.errors import CoreError, not_found
from shared.api.core.gate import Gate
from shared.api.core.routes import ROUTES, Answer, Call
from shared.api.request import body_of
from shared.bootstrap import hasher, ports, settings

logger = Logger()
app = APIGatewayHttpResolver()


def _answered(answer: Answer) -> Response[dict[str, Any]]:
    status, body = answer
    return Response(status_code=status, content_type="application/json", body=body)


def _route(operation: Callable[..., Answer]) -> Callable[..., Response[dict[str, Any]]]:
    def called(**path: str) -> Response[dict[str, Any]]:
        gate = Gate(ports=ports(), hasher=hasher(), headers=app.current_event.headers)
        call = Call(gate=gate, body=body_of(app.current_event.raw_event), environment=settings().environment)
        return _answered(operation(call, **path))

    return called


for (method, path), operation in ROUTES.items():
    app.route(path, method=method)(_route(operation))


def _refused(error: CoreError) -> Response[dict[str, Any]]:
    return _answered((error.status, error.body()))


def _broken(error: Exception) -> Response[dict[str, Any]]:
    """Something of ours broke: told by an id that the log has too, without internals."""
    error_id = app.current_event.request_context.request_id
    logger.error("failed", exc_info=error, extra={"errorId": error_id})
    refusal = CoreError(HTTPStatus.INTERNAL_SERVER_ERROR, "something failed on our side")
    return _answered((refusal.status, {**refusal.body(), "errorId": error_id}))


app.exception_handler(CoreError)(_refused)
app.not_found(lambda _: _refused(not_found("path")))
app.exception_handler(Exception)(_broken)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)
