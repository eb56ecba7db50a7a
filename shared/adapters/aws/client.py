"""Sends requests to one AWS service: signed, repeated while that helps, with typed errors.

Botocore's clients do far more: they build each request and read each answer by a model of the service. That costs most
of a call and of a cold start (ADR 64).
"""

import json
import zlib
from collections.abc import Callable, Mapping
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final, Protocol, assert_never

from msgspec import Struct, field

from shared.adapters.aws.credentials import CredentialSource
from shared.adapters.aws.errors import AwsError, UnansweredError
from shared.adapters.aws.http import HttpReply, Transport
from shared.adapters.aws.signing import Signer
from shared.application.ports import ConnectionLostError, OverloadedError

Answer = Mapping[str, Any]
"""The JSON object of an answer."""

MAX_ATTEMPTS: Final = 4
"""How often a request is sent at most."""

THROTTLING_SECONDS: Final = 0.5
"""The longest wait before the first repeat of a throttled request. It doubles with each."""

FAILURE_SECONDS: Final = 0.05
"""The longest wait before the first repeat after a server's error or a lost connection. It doubles with each."""

CONFLICT_SECONDS: Final = 0.04
"""The longest wait before the first repeat of a write that met another one. It doubles with each."""

_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_encode = json.JSONEncoder(separators=(",", ":")).encode  # ``dumps`` would make an encoder for each request
_decode = json.JSONDecoder().decode  # ``loads`` would guess how the bytes are encoded
_TIMED_OUT = frozenset({"RequestTimeout", "RequestTimeoutException"})


class Refusal(Enum):
    """The kind of a refusal. It decides whether a request is sent again, and after which wait."""

    FINAL = auto()
    """It would be refused again."""
    THROTTLED = auto()
    """The service is overloaded, or does not admit more requests for now."""
    FAILED = auto()
    """The service failed; the request may have taken effect."""
    CONFLICT = auto()
    """Another write was on its way. It is over soon."""

    @property
    def longest_wait(self) -> float:
        """Return the longest wait in seconds before the first repeat."""
        match self:
            case Refusal.THROTTLED:
                return THROTTLING_SECONDS
            case Refusal.CONFLICT:
                return CONFLICT_SECONDS
            case Refusal.FAILED | Refusal.FINAL:
                return FAILURE_SECONDS
            case _:
                assert_never(self)


def refusal_of(error: AwsError) -> Refusal:
    """Return the kind of a refusal, as most services mean it."""
    if error.code in _THROTTLED or error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Refusal.THROTTLED
    if error.code in _TIMED_OUT or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Refusal.FAILED
    return Refusal.FINAL


class Call(Struct, kw_only=True):
    """One operation and its request, whose shape is the service's. ``context`` is for observers."""

    service: str
    operation: str
    request: Mapping[str, Any]
    context: dict[str, Any] = field(default_factory=dict)


class Observer(Protocol):
    """Sees the calls of a client: tests count their costs, the local stack logs the writes."""

    def begins(self, call: Call) -> None:
        """See a call before it is sent."""

    def sends(self, call: Call) -> None:
        """See that it is sent, once or again."""

    def ends(self, call: Call, answer: Answer | None, error: AwsError | None) -> None:
        """See its answer, or why it was refused. A call without any answer has neither."""


class Timing(Struct, frozen=True, kw_only=True):
    """The clock, in seconds since 1970, and how to wait. ``random`` returns a number from 0 up to 1."""

    now: Callable[[], float]
    sleep: Callable[[float], None]
    random: Callable[[], float]


class Request(Struct, frozen=True, kw_only=True):
    """A request to send. ``headers`` have lower-case names; the path is encoded."""

    body: bytes
    method: str = "POST"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)


class AwsClient(Struct, kw_only=True):
    """Calls operations of one service. It is thread-safe, and connects at its first call.

    ``service`` is its name in botocore, ``host`` the one to be signed, ``base`` the path of its URL without a slash at
    the end, and ``attempts`` how often a request is sent at most. ``refusal`` returns the kind of a refusal. ``trace``
    returns the header that says to which invocation the calls belong.
    """

    service: str
    host: str
    transport: Transport
    signer: Signer
    credentials: CredentialSource
    timing: Timing
    user_agent: str
    base: str = ""
    trace: Callable[[], str | None] = lambda: None
    attempts: int = MAX_ATTEMPTS
    refusal: Callable[[AwsError], Refusal] = refusal_of
    observers: list[Observer] = field(default_factory=list)

    def call(
        self, operation: str, request: Mapping[str, Any], build: Callable[[Mapping[str, Any]], Request]
    ) -> Answer:
        """Send a request until it is answered, and return the answer.

        ``build`` says how the request is sent. Raises: OverloadedError: it was throttled, or met other writes, to the
        last. ConnectionLostError: the service failed, or could not be reached; the request may have taken effect.
        AwsError: it was refused.
        """
        call = Call(service=self.service, operation=operation, request=request)
        for observer in self.observers:
            observer.begins(call)
        sent, attempt = build(request), 1
        cause: AwsError | UnansweredError
        while True:
            for observer in self.observers:
                observer.sends(call)
            try:
                answer = self._answer(operation, self._sent(sent))
            except UnansweredError as error:
                refusal, cause = Refusal.FAILED, error
            except AwsError as error:
                refusal, cause = self.refusal(error), error
            else:
                for observer in self.observers:
                    observer.ends(call, answer, None)
                return answer
            if refusal is Refusal.FINAL or attempt >= self.attempts:
                break
            # A random part of the wait, so that clients which were refused together do not come back together.
            self.timing.sleep(self.timing.random() * refusal.longest_wait * (1 << (attempt - 1)))
            attempt += 1
        for observer in self.observers:
            observer.ends(call, None, cause if isinstance(cause, AwsError) else None)
        raise _raised(refusal, cause) from cause

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def _sent(self, request: Request) -> HttpReply:
        path = self.base if self.base and request.path == "/" else self.base + request.path
        headers = {"host": self.host, "user-agent": self.user_agent, **request.headers}
        signed = self.signer.signed(
            request.method,
            path,
            headers,
            request.body,
            credentials=self.credentials(),
            at=self.timing.now(),
        )
        trace = self.trace()
        if trace is not None:
            signed["x-amzn-trace-id"] = trace
        return self.transport.send(request.method, path, signed, request.body)

    def _answer(self, operation: str, reply: HttpReply) -> Answer:
        checksum = reply.headers.get("x-amz-crc32")
        if checksum is not None and zlib.crc32(reply.body) != int(checksum):
            raise UnansweredError(f"the answer to {operation} was damaged on its way")
        try:
            body = _decode(reply.body.decode()) if reply.body else {}
        except ValueError as error:
            if reply.status < HTTPStatus.BAD_REQUEST:
                raise UnansweredError(f"the answer to {operation} is no JSON") from error
            body = {}  # what stands before the service, such as a load balancer, has words of its own
        if not isinstance(body, dict):
            body = {}
        if reply.status < HTTPStatus.MULTIPLE_CHOICES:
            return body
        raise AwsError(
            service=self.service,
            operation=operation,
            code=_code(reply, body),
            status=reply.status,
            body=body,
        )


def _raised(refusal: Refusal, cause: AwsError | UnansweredError) -> Exception:
    """Return the error to raise for the last attempt."""
    match refusal:
        case Refusal.FINAL:
            return cause
        case Refusal.THROTTLED | Refusal.CONFLICT:
            return OverloadedError(_description(cause))
        case Refusal.FAILED:
            return ConnectionLostError(_description(cause))
        case _:
            assert_never(refusal)


def _description(cause: AwsError | UnansweredError) -> str:
    """Return the text of an error for users, without the service's own message, which may name anything."""
    if isinstance(cause, AwsError):
        return f"{cause.service}: {cause.code} (HTTP {cause.status})"
    return str(cause)


def _code(reply: HttpReply, body: Answer) -> str:
    """Return the code of an error, without the namespace and the URL that some services add to it."""
    code = reply.headers.get("x-amzn-errortype") or body.get("__type") or body.get("code") or ""
    return str(code).partition(":")[0].rpartition("#")[2]


def json_request(target: str, version: str) -> Callable[[Mapping[str, Any]], Request]:
    """Return how a request of the protocol ``awsJson`` is sent. ``target`` names service and operation."""
    headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target}

    def build(request: Mapping[str, Any]) -> Request:
        return Request(body=_encode(request).encode(), headers=headers)

    return build
