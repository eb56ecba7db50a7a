"""One call of a service: what is sent, and what may come back.

Source: contracts/core.md sections 2.2 and 3.5; design section 3, item 7.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from shared.domain.callbacks import VARIABLES, Scope, is_true
from shared.domain.run import Intent, StepError
from shared.domain.strategy import Action, Authorization, Json, Method, Service, Strategy
from shared.domain.validation import violations
from shared.expressions import EvaluationError, render

IDEMPOTENCY_HEADER = "Idempotency-Key"
"""Carries the call key, unless the action sets the header itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """How to come by the token of a call. ``path`` leads to it in the answer; ``scheme`` goes before it."""

    request: Authorization
    path: str | None
    scheme: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRequest:
    """A call ready to be sent. body: a JSON value, None for no body. timeout_seconds: for the whole call."""

    method: str
    url: str
    headers: Mapping[str, str]
    params: Mapping[str, str]
    body: Json
    timeout_seconds: int
    call_key: str
    credential: Credential | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The service answered. body: the decoded JSON, or the text where it is none."""

    status: int
    body: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut:
    """The call was sent, in part at least, and no answer came: it may have reached the service."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """Nothing reached the service: no address, no connection, no token."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """The call was not allowed out: its target is an internal address."""

    why: str


CallOutcome = Answered | TimedOut | Unreachable | Blocked
"""What a call came to."""


class CallNotPossibleError(Exception):
    """The call cannot be built or its request is invalid: the step fails, nothing is sent."""

    def __init__(self, error: StepError) -> None:
        super().__init__(error.message)
        self.error = error


def method_of(strategy: Strategy, action: Action) -> tuple[Service, Method]:
    """The service and the method an action calls."""
    service = strategy.definition.services[action.service]
    return service, service.methods[action.method]


def prepare(strategy: Strategy, action: Action, intent: Intent, variables: Scope) -> ServiceRequest:
    """The call of a step, its templates rendered and its request checked.

    Raises: CallNotPossibleError.
    """
    service, method = method_of(strategy, action)
    try:
        body = render(action.data, variables, variables=VARIABLES)
        headers = _texts(action.headers, variables)
        params = _texts(action.params, variables)
        parts = _texts(action.attributes, variables)
        credential = _credential(strategy, service, variables)
    except EvaluationError as error:
        raise CallNotPossibleError(StepError(message=f"action {action.key}: {error}")) from error
    _check_headers(action, headers)
    _check_request(method, body, variables)
    if IDEMPOTENCY_HEADER.lower() not in {name.lower() for name in headers}:
        headers[IDEMPOTENCY_HEADER] = intent.call_key
    return ServiceRequest(
        method=method.method,
        url=service.base_urls[strategy.environment].rstrip("/") + _filled(action, method.url, parts),
        headers=headers,
        params=params,
        body=body,
        timeout_seconds=method.timeout_seconds,
        call_key=intent.call_key,
        credential=credential,
    )


def _credential(strategy: Strategy, service: Service, variables: Scope) -> Credential | None:
    entry = service.authorization.get(strategy.environment)
    if entry is None:
        return None
    request = Authorization(
        url=entry.url,
        method=entry.method,
        headers=_texts(entry.headers, variables),
        params=_texts(entry.params, variables),
        data=render(entry.data, variables, variables=VARIABLES),
        attributes=_texts(entry.attributes, variables),
        no_cache=entry.no_cache,
    )
    return Credential(request=request, path=service.credential_path, scheme=service.credential_type)


def _texts(values: Mapping[str, str], variables: Scope) -> dict[str, str]:
    """Rendered header, parameter or URL values; what is null is left out."""
    rendered = {name: render(value, variables, variables=VARIABLES) for name, value in values.items()}
    return {name: _text(value) for name, value in rendered.items() if value is not None}


def _text(value: Json) -> str:
    """A value inside a header, a query or a URL. Raises: EvaluationError: it has no text form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise EvaluationError(f"a {type(value).__name__} cannot stand in a header, parameter or URL")


def _filled(action: Action, url: str, parts: Mapping[str, str]) -> str:
    """The method's URL with its ``:name`` parts filled, percent-encoded."""
    segments = []
    for segment in url.split("/"):
        if not segment.startswith(":"):
            segments.append(segment)
            continue
        value = parts.get(segment[1:], "")
        if value in ("", ".", ".."):
            raise CallNotPossibleError(
                StepError(message=f"action {action.key}: {segment} of the URL has no usable value")
            )
        segments.append(quote(value, safe=""))
    return "/".join(segments)


def _check_headers(action: Action, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if any(ord(character) < ord(" ") and character != "\t" for character in value):
            raise CallNotPossibleError(
                StepError(message=f"action {action.key}: header {name} holds a control character")
            )


def _check_request(method: Method, body: Json, variables: Scope) -> None:
    rule = method.request_validation
    if rule is None:
        return
    if isinstance(rule, str):
        try:
            if is_true(rule, {**variables, "response": body}):
                return
        except EvaluationError as error:
            raise CallNotPossibleError(StepError(message=f"requestValidation: {error}")) from error
        raise CallNotPossibleError(StepError(message="requestValidation does not allow this request"))
    problems = violations(rule, body)
    if problems:
        message = "; ".join(f"{problem.pointer or '/'}: {problem.message}" for problem in problems)
        raise CallNotPossibleError(StepError(message=f"requestValidation: {message}", data=body))
