"""The orders dialect over HTTP."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.api.http.pages import serve_pages
from shared.api.http.request import body_of
from shared.api.orders.call import Answer, Request, Rules, Sent
from shared.api.orders.errors import failure, refusal_of, status_of
from shared.api.orders.routes import WAYS, Door, Route
from shared.bootstrap import hasher, ports, settings

logger = Logger()
app = APIGatewayHttpResolver()
_HEADERS = {"Cache-Control": "no-cache, no-store, must-revalidate"}


def _answered(status: int, answer: Answer) -> Response[Any]:
    return Response(status, "application/json", answer.body, headers={**_HEADERS, **answer.headers})


def _serving(way: Door | Route) -> Callable[[], Response[Any]]:
    def served() -> Response[Any]:
        event, chosen = app.current_event, settings()
        sent = Sent(event.headers, event.query_string_parameters, body_of(event.raw_event))
        rules = Rules(unscoped=chosen.joc_allow_unscoped, comments=chosen.joc_force_comments)
        request = Request(ports=ports(), hasher=hasher(), sent=sent, rules=rules, now=ports().clock.now())
        return _answered(200, way.answered(request))

    return served


for each in WAYS:
    app.post(each.path)(_serving(each))
serve_pages(app, "orders", Path(__file__).parent)


def _refused(error: Exception) -> Response[Any]:
    """A refusal in the dialect's shape; of what broke on our side, only an id that the log has too."""
    refusal, context = refusal_of(error), app.current_event.request_context
    if refusal is not None:
        return _answered(status_of(refusal), Answer(body=refusal.body(ports().clock.now())))
    logger.error("failed", exc_info=error, extra={"errorId": context.request_id})
    return _answered(500, Answer(body=failure(context.request_id, context.time_epoch)))


app.exception_handler(Exception)(_refused)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)
