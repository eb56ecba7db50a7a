"""One call of a service: the request, and its possible outcomes.

Source: docs/contracts/core.md sections 2.2 and 3.5; docs/design.md section 3.7.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote

from msgspec import Struct

from shared.domain.errors import Problem, Problems
from shared.domain.ids import AccountId
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import Intent, StepError
from shared.domain.instance.scope import Scope, is_true, with_response
from shared.domain.redacted import Redacted
from shared.domain.strategy.model import Action, Authorization, Json, Method, Service, Strategy
from shared.domain.strategy.secret_names import RESERVED, SecretReference, reference_of
from shared.domain.strategy.variables import VARIABLES
from shared.domain.validation.schema import violations
from shared.expressions import EvaluationError, Place, render, render_with_references, spending, text_of

IDEMPOTENCY_HEADER = "Idempotency-Key"
"""The header that carries the call key, unless the action sets it itself."""

_URL_PART = re.compile(r"(?<=/):([\w-]+)")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_REPORTED_PROBLEMS = 3
# ``json.dumps`` would make an encoder for each body.
_as_text = json.JSONEncoder(ensure_ascii=False).encode


class SecretSlot(Struct, frozen=True, kw_only=True):
    """Where the value of a secret belongs in a request.

    The request has the reference itself there: ``text[start:end]`` of the string at ``place``, which begins with the
    field. So a request that is validated, hashed or shown never contains a secret.
    """

    place: Place
    start: int
    end: int
    secret: SecretReference


class Credential(Redacted, Struct, frozen=True, kw_only=True):
    """How to fetch the token of a call.

    ``request`` is ready to be sent, once the ``secrets`` are filled in. ``path`` leads to the token in the answer, and
    ``scheme`` is put before the token.
    """

    HIDDEN = ("request",)

    request: Authorization
    path: str | None
    scheme: str | None
    secrets: tuple[SecretSlot, ...] = ()


class ServiceRequest(Redacted, Struct, frozen=True, kw_only=True):
    """A call ready to be sent, once the ``secrets`` are filled in.

    ``body`` is a JSON value, None for no body. ``timeout_seconds`` limits the whole call.
    """

    HIDDEN = ("headers", "params", "body")

    # Fields that may hold secrets are not in the repr, which could reach a log or a traceback.
    method: str
    url: str
    headers: Mapping[str, str]
    params: Mapping[str, str]
    body: Json
    timeout_seconds: int
    call_key: str
    credential: Credential | None = None
    secrets: tuple[SecretSlot, ...] = ()


RetryAfter = timedelta | datetime
"""When to send a refused call again: a time from now on, or a date."""


class Answered(Struct, frozen=True, kw_only=True):
    """The service answered.

    ``body`` is the decoded JSON, or the text if it is not JSON. ``unusable`` says why the body was rejected, None if
    it was not. ``retry_after`` is its ``Retry-After``, as a distance or a date, None if it has no valid one.
    """

    status: int
    body: Json = None
    unusable: str | None = None
    retry_after: RetryAfter | None = None


class TimedOut(Struct, frozen=True, kw_only=True):
    """The call was sent, at least in part, and no answer arrived. It may have reached the service."""

    why: str


class Unreachable(Struct, frozen=True, kw_only=True):
    """Nothing reached the service: no address, no connection, no token, or no secret.

    ``tried`` is False if no connection to the service was tried, because the call was not ready.
    """

    why: str
    tried: bool = True


class AddressRefused(Struct, frozen=True, kw_only=True):
    """The call was not sent, because its target is an internal address."""

    why: str


class TokenRefused(Struct, frozen=True, kw_only=True):
    """Nothing was sent, because the authorization refused a token for now: it returned 429 or 503."""

    why: str
    retry_after: RetryAfter | None = None


CallOutcome = Answered | TimedOut | Unreachable | AddressRefused | TokenRefused
"""The outcome of a call."""


class CallNotPossibleError(Exception):
    """The call cannot be built, or its request is invalid. The step fails and nothing is sent."""

    def __init__(self, error: StepError) -> None:
        super().__init__(error.message)
        self.error = error


def method_of(strategy: Strategy, action: Action) -> tuple[Service, Method]:
    """Return the service and the method that an action calls."""
    service = strategy.definition.services[action.service]
    return service, service.methods[action.method]


@spending()
def prepare(strategy: Strategy, action: Action, intent: Intent, variables: Scope) -> ServiceRequest:
    """Return the call of a step, with its templates rendered and its request validated.

    A ``requestValidation`` in CEL sees the body about to be sent as ``response``.
    Raises: CallNotPossibleError.
    """
    try:
        return _prepared(strategy, action, intent, variables)
    except EvaluationError as error:
        raise CallNotPossibleError(
            StepError(message=f"action {action.key}: {error}", kind=ErrorKind.EXPRESSION)
        ) from error


def summarize(problems: Sequence[Problem]) -> str:
    """Return the first problems of a value that breaks its schema, in one line."""
    reported = problems[:_MAX_REPORTED_PROBLEMS]
    text = "; ".join(problem.sentence for problem in reported)
    if len(problems) == len(reported):
        return text
    others = Problems(problems[_MAX_REPORTED_PROBLEMS:])
    return f"{text}; and {'' if others.is_exact else 'at least '}{len(others)} more"


def _prepared(strategy: Strategy, action: Action, intent: Intent, variables: Scope) -> ServiceRequest:
    service, method = method_of(strategy, action)
    base_url = service.base_urls.get(strategy.environment)
    if base_url is None:
        raise EvaluationError(f"service {service.key} has no URL for environment {strategy.environment!r}")
    rendering = _Rendering(strategy.account_id, variables)
    headers = rendering.headers(action.headers)
    if IDEMPOTENCY_HEADER.lower() not in {name.lower() for name in headers}:
        headers[IDEMPOTENCY_HEADER] = intent.call_key
    body = rendering.body("body", action.data)
    _check_request(method, body, variables)
    return ServiceRequest(
        method=method.method,
        url=base_url.rstrip("/") + _filled(method.url, _url_parts(action.attributes, variables)),
        headers=headers,
        params=rendering.texts("params", action.params),
        body=body,
        timeout_seconds=method.timeout_seconds,
        call_key=intent.call_key,
        credential=_credential(strategy, service, variables),
        secrets=tuple(rendering.secrets),
    )


def _credential(strategy: Strategy, service: Service, variables: Scope) -> Credential | None:
    entry = service.authorization.get(strategy.environment)
    if entry is None:
        return None
    rendering = _Rendering(strategy.account_id, variables)
    request = Authorization(
        url=_filled(entry.url, _url_parts(entry.attributes, variables)),
        method=entry.method,
        headers=rendering.headers(entry.headers),
        params=rendering.texts("params", entry.params),
        data=rendering.body("data", entry.data),
        no_cache=entry.no_cache,
    )
    return Credential(
        request=request,
        path=service.credential_path,
        scheme=service.credential_type,
        secrets=tuple(rendering.secrets),
    )


class _Rendering(Struct):
    """The rendering of one request, which collects the ``secrets`` that its templates name."""

    account_id: AccountId
    variables: Scope
    secrets: list[SecretSlot] = []

    def texts(self, of: str, values: Mapping[str, str]) -> dict[str, str]:
        """Return rendered headers or parameters. Null values are left out."""
        rendered = {name: self._rendered(value, (of, name)) for name, value in values.items()}
        return {name: _text(value) for name, value in rendered.items() if value is not None}

    def headers(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return rendered headers. Raises: EvaluationError: if a value cannot be sent in a header."""
        headers = self.texts("headers", values)
        for name, value in headers.items():
            why = why_no_header(value)
            if why is not None:
                raise EvaluationError(f"header {name} holds {why}")
        return headers

    def body(self, of: str, data: Json) -> Json:
        """Return the rendered body."""
        body = self._rendered(data, (of,))
        _sendable(_as_text(body))
        return body

    def _rendered(self, value: Json, at: Place) -> Json:
        rendered, references = render_with_references(
            value, self.variables, variables=VARIABLES, reserved=RESERVED
        )
        self.secrets += [
            SecretSlot(
                place=(*at, *one.place),
                start=one.start,
                end=one.end,
                secret=reference_of(one.segments, self.account_id),
            )
            for one in references
        ]
        return rendered


def why_no_header(value: str) -> str | None:
    """Return the kind of character that keeps a text from being sent in a header, or None."""
    # A line break would end the header and let the value add headers of its own.
    if _CONTROL_CHARACTER.search(value):
        return "a control character"
    if not value.isascii() and max(value) > "\xff":
        return "a character beyond Latin-1"
    return None


def _url_parts(values: Mapping[str, str], variables: Scope) -> dict[str, str]:
    """Return rendered parts of a URL. Null values are left out."""
    rendered = {name: render(value, variables, variables=VARIABLES) for name, value in values.items()}
    return {name: _text(value) for name, value in rendered.items() if value is not None}


def _text(value: Json) -> str:
    """Return a value as text for a header, a query or a URL.

    Raises: EvaluationError: if it is a list, an object or null.
    """
    if isinstance(value, str | int | float):
        return _sendable(text_of(value))
    raise EvaluationError(f"a {type(value).__name__} cannot be used in a header, parameter or URL")


def _sendable(text: str) -> str:
    """Return the text.

    Raises: EvaluationError: if it holds half of a surrogate pair, which has no UTF-8 form.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise EvaluationError("half of a surrogate pair cannot be sent") from error
    return text


def _filled(url: str, parts: Mapping[str, str]) -> str:
    """Return the URL with its ``:name`` parts filled and percent-encoded.

    Raises: EvaluationError: if a part has no value.
    """

    def fill(part: re.Match[str]) -> str:
        value = parts.get(part[1], "")
        # Dots are not percent-encoded, so these values would change the path.
        if value in ("", ".", ".."):
            raise EvaluationError(f"{part[0]} of the URL has no usable value")
        return quote(value, safe="")

    return _URL_PART.sub(fill, url)


def _check_request(method: Method, body: Json, variables: Scope) -> None:
    """Validate the body.

    Raises: EvaluationError: if ``requestValidation`` does not allow it.
    """
    rule = method.request_validation
    if isinstance(rule, str):
        if not is_true(rule, with_response(variables, body)):
            raise EvaluationError("requestValidation does not allow this request")
    elif rule is not None:
        problems = violations(rule, body)
        if problems:
            raise EvaluationError(f"requestValidation: {summarize(problems)}")
