"""The Lambda handler of a dialect: one pipeline for every request.

It checks the key or token (401), the role (403), the object that the path names (404), its secret (403), then query,
body and headers (400), and runs the operation.
Source: docs/design.md section 9.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from msgspec import Struct

from shared.api.http.deployment import Deployment
from shared.api.http.errors import (
    ErrorTable,
    ForbiddenError,
    Occurrence,
    UnauthorizedError,
    UnknownPathError,
)
from shared.api.http.models import (
    NoMembers,
    check_comment,
    check_key,
    check_members,
    check_query,
    read_json,
    read_model,
    read_query,
)
from shared.api.http.pages import serve_pages
from shared.api.http.request import Incoming, Request, body_of, claims_of
from shared.api.http.route import Answer, Principal, Route
from shared.application.log_lines import log_line
from shared.application.ports import Ports, SecretHasher

Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


def _as_named(_: Request, __: Route, path: Mapping[str, str]) -> Mapping[str, Any]:
    return path


class Dialect(Struct, frozen=True, kw_only=True):
    """A wire contract: its routes, its errors, and how its callers authenticate.

    ``name`` is that of its package ``shared.api.<name>`` and of ``functions/<name>_api``.
    ``find`` returns arguments for the operation from the path, or raises if the caller may not use the object.
    ``last_wins`` names the member of bodies in which names may repeat.
    If ``refuses_unknown``, unknown members and parameters are refused also by operations that take none.
    If ``has_comments``, the document shows the header ``Audit-Comment``. If ``has_secrets``, strategies have a
    ``Strategy-Secret``.
    """

    name: str
    routes: tuple[Route, ...]
    errors: ErrorTable
    authenticate: Callable[[Incoming, Route], Principal | None]
    find: Callable[[Request, Route, Mapping[str, str]], Mapping[str, Any]] = _as_named
    cache_control: str = "no-store"
    last_wins: str | None = None
    refuses_unknown: bool = False
    has_comments: bool = False
    has_secrets: bool = False


class Host(Protocol):
    """The composition root as the gateway needs it."""

    def ports(self) -> Ports:
        """The ports in use."""

    def hasher(self) -> SecretHasher:
        """The hasher of secrets."""

    def deployment(self) -> Deployment:
        """The deployment's settings."""


def answer(dialect: Dialect, route: Route, incoming: Incoming, path: Mapping[str, str]) -> Answer[Any]:
    """Check and read a request, and return the answer of its operation.

    Raises: an error with a row in the dialect's table, if the request is refused.
    """
    principal = (route.authenticate or dialect.authenticate)(incoming, route)
    if principal is None:
        raise UnauthorizedError(route)
    if route.role is not None and not principal.role.includes(route.role):
        raise ForbiddenError(principal, route)
    request = incoming.sent_by(principal)
    # The object comes before query and body: callers who may not use it learn nothing else.
    arguments = dict(dialect.find(request, route, path))
    check_query(request)
    if route.query is not None:
        arguments["query"] = read_query(request, route.query)
    elif dialect.refuses_unknown:
        read_query(request, NoMembers)
    if route.read is not None:
        arguments["body"] = route.read(request, route.body)
    elif isinstance(route.body, type):
        arguments["body"] = read_model(request, route.body, optional=route.body_is_optional)
    elif request.text:
        _check_unread(dialect, request)
    if route.is_idempotent:
        check_key(request)
    if route.method != "GET":
        check_comment(request)
    return route.operation(request, **arguments)


def _check_unread(dialect: Dialect, request: Request) -> None:
    """Check the body of an operation that takes none. Raises: InvalidBodyError; TooLargeError."""
    body = read_json(request)
    # Otherwise a client would not learn that the engine ignores what it sent, such as the date of a cancellation.
    if dialect.refuses_unknown:
        check_members(body, NoMembers)


def handler_of(dialect: Dialect, host: Host, folder: Path) -> Handler:
    """Return the Lambda handler of a dialect. ``folder`` is that of the handler; the build puts the pages there."""
    logger, app = Logger(json_serializer=log_line), APIGatewayHttpResolver()
    gateway = _Gateway(dialect, host, app, logger)
    for route in dialect.routes:
        app.route(route.path, method=route.method)(gateway.serve(route))
    serve_pages(app, dialect.name, folder)
    app.not_found(lambda _: gateway.answer_unknown())
    # Powertools' own answers to errors have neither the dialect's shape nor its error id.
    app.exception_handler(Exception)(gateway.refuse)

    @logger.inject_lambda_context
    def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        return app.resolve(event, context)

    return lambda_handler


class _Gateway(Struct, frozen=True):
    dialect: Dialect
    host: Host
    app: APIGatewayHttpResolver
    logger: Logger

    def serve(self, route: Route) -> Callable[..., Response[Any]]:
        def served(**path: str) -> Response[Any]:
            event, ports = self.app.current_event, self.host.ports()
            incoming = Incoming(
                ports=ports,
                hasher=self.host.hasher(),
                deployment=self.host.deployment(),
                headers=event.headers,
                query=event.query_string_parameters,
                text=body_of(event.raw_event),
                now=ports.clock.now(),
                last_wins=self.dialect.last_wins,
                claims=claims_of(event.raw_event),
            )
            return self._respond(answer(self.dialect, route, incoming, path))

        return served

    def answer_unknown(self) -> Response[Any]:
        """Answer a request that no route takes: a browser's preflight with 204, anything else as an unknown path."""
        event = self.app.current_event
        # API Gateway leads preflights here, because its routes take every method. It adds the headers of CORS to the
        # answer, which must be a success, or the browser stops.
        asks = {"origin", "access-control-request-method"} <= set(event.headers)
        if event.http_method == "OPTIONS" and asks:
            return self._respond(Answer(body=None, status=HTTPStatus.NO_CONTENT))
        return self.refuse(UnknownPathError())

    def refuse(self, error: Exception) -> Response[Any]:
        """Answer an error as the dialect does. The answer to a failure of ours has only the id of its log entry."""
        context, errors = self.app.current_event.request_context, self.dialect.errors
        error_id = errors.error_id(context.request_id)
        refusal = errors.refusal_of(error)
        if refusal is not None:
            at = self.host.ports().clock.now()
        else:
            self.logger.error(
                "request failed",
                exc_info=error,
                extra={"errorId": error_id, "requestId": context.request_id},
            )
            # The clock port may be what failed, but API Gateway's own time is always there.
            refusal, at = errors.failure, datetime.fromtimestamp(context.time_epoch / 1000, UTC)
        body = refusal.body(Occurrence(at=at, error_id=error_id))
        return self._respond(Answer(body=body, status=refusal.status, headers=refusal.headers))

    def _respond(self, answer: Answer[Any]) -> Response[Any]:
        # An answer without a body has no content type either.
        if answer.body is None:
            kind, body = None, ""
        else:
            kind, body = "application/json", answer.body
        headers = {"Cache-Control": self.dialect.cache_control, **answer.headers}
        return Response(answer.status, kind, body, headers=headers)
