"""API Gateway on a developer's machine: HTTP requests as version 2 events, and a handler's answer as HTTP."""

import base64
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from dev.template import DEFAULT_ROUTE, Route


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request as received. ``target`` is path and query, still encoded. Header names are in lower case.

    ``claims`` are those of a token that a JWT authorizer has verified. The local stack has no authorizer.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    source: str
    claims: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """The reply to a request. If ``chunks`` is set, they are sent as the body, as they come."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    chunks: Iterator[bytes] | None = None


def event_of(request: HttpRequest, routes: list[Route]) -> tuple[str, dict[str, Any]] | None:
    """Return the function and the event for a request, or None if no route matches."""
    path, _, query = request.target.partition("?")
    for route in routes:
        parameters = _matched(route.path, path)
        if route.method in ("ANY", request.method) and parameters is not None:
            return route.function, _event(request, route, path, query, parameters)
    return None


def reply_of(answer: Mapping[str, Any]) -> HttpReply:
    """Return a handler's answer as an HTTP reply."""
    body = answer.get("body") or ""
    headers = [(name, str(value)) for name, value in (answer.get("headers") or {}).items()]
    data = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    return HttpReply(status=answer["statusCode"], headers=headers, body=data)


def json_reply(status: int, value: Any) -> HttpReply:  # noqa: ANN401 - any JSON value
    """Return a JSON reply of the local stack itself."""
    headers = [("content-type", "application/json")]
    return HttpReply(status=status, headers=headers, body=json.dumps(value).encode())


def _event(
    request: HttpRequest, route: Route, path: str, query: str, parameters: Mapping[str, str]
) -> dict[str, Any]:
    key = DEFAULT_ROUTE if route.path == DEFAULT_ROUTE else f"{route.method} {route.path}"
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": dict(request.headers),
        "isBase64Encoded": False,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": request.headers.get("host", "localhost"),
            "domainPrefix": "local",
            "requestId": str(uuid.uuid4()),
            "routeKey": key,
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "timeEpoch": time.time_ns() // 1_000_000,
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.source,
                "userAgent": request.headers.get("user-agent", ""),
            },
        },
    }
    if request.claims is not None:
        event["requestContext"]["authorizer"] = {"jwt": {"claims": dict(request.claims), "scopes": None}}
    pairs: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        # API Gateway joins the values of a repeated parameter with commas.
        pairs[name] = f"{pairs[name]},{value}" if name in pairs else value
    if pairs:
        event["queryStringParameters"] = pairs
    if parameters:
        event["pathParameters"] = dict(parameters)
    if request.body:
        try:
            event["body"] = request.body.decode()
        except UnicodeDecodeError:
            event["body"], event["isBase64Encoded"] = base64.b64encode(request.body).decode(), True
    return event


def _matched(pattern: str, path: str) -> dict[str, str] | None:
    """Return the parameters of a path, or None if the pattern does not match it."""
    if pattern == DEFAULT_ROUTE:
        return {}
    prefix, _, name = pattern.partition("{")
    if not path.startswith(prefix) or len(path) == len(prefix):
        return None
    return {name.removesuffix("+}"): unquote(path.removeprefix(prefix))}
