"""Calls services over HTTP.

Source: shared/application/ports.py (ServiceCaller); docs/contracts/core.md sections 2.2 and 4 (12, 13);
docs/service-calls.md.
"""

from dataclasses import replace
from functools import partial

from shared.adapters.http.addresses import AddressGuard, Network
from shared.adapters.http.egress import Egress, Resolver, Seconds, system_resolver
from shared.adapters.http.exchange import Reply, Sending, exchange, read_json
from shared.adapters.http.guarded_http import guarded_session
from shared.adapters.http.tokens import NoToken, Token, TokenCache
from shared.domain.steps.call import (
    Answered,
    CallOutcome,
    Credential,
    ServiceRequest,
    TokenRefused,
    Unreachable,
)

_UNAUTHORIZED = 401


class HttpServiceCaller:
    """A ``ServiceCaller`` with the connections and tokens of one container.

    ``seconds`` is ``time.monotonic``. ``allowed`` are internal networks that calls may go to. ``ca_file`` holds the
    trusted certificates; None means certifi's. ``resolve`` turns names into addresses.
    """

    def __init__(
        self,
        *,
        seconds: Seconds,
        allowed: tuple[Network, ...] = (),
        ca_file: str | None = None,
        resolve: Resolver = system_resolver,
    ) -> None:
        self._session = guarded_session(Egress(seconds, AddressGuard(allowed), resolve), ca_file=ca_file)
        self._exchange = partial(exchange, self._session)
        self._tokens = TokenCache(self._exchange, seconds)

    def call(self, request: ServiceRequest) -> CallOutcome:
        if request.credential is None or _authorizes(request):
            return self._called(request)
        return self._authorized(request, request.credential)

    def close(self) -> None:
        """Close the kept connections; tokens are kept, and later calls connect again."""
        # For the start of an invocation: while a container is frozen, its connections close without its notice.
        self._session.close()

    def _authorized(self, request: ServiceRequest, credential: Credential) -> CallOutcome:
        """Call with a token, and once more with a new one if the service answers 401."""
        token = self._tokens.token(credential)
        if isinstance(token, NoToken):
            return _not_sent(token)
        outcome = self._called(request, _authorization(credential, token))
        if not isinstance(outcome, Answered) or outcome.status != _UNAUTHORIZED:
            return outcome
        renewed = self._tokens.renewed(credential, refused=token)
        if isinstance(renewed, NoToken):
            # With a token the service might do it, so its 401 is not the last word while the token is refused for now.
            return _not_sent(renewed) if renewed.is_refusal else outcome
        return self._called(request, _authorization(credential, renewed))

    def _called(self, request: ServiceRequest, authorization: str | None = None) -> CallOutcome:
        more = {} if authorization is None else {"Authorization": authorization}
        sending = Sending(
            method=request.method,
            url=request.url,
            headers={**request.headers, **more},
            params=request.params,
            body=request.body,
            seconds=request.timeout_seconds,
        )
        outcome = self._exchange(sending)
        return _answered(outcome) if isinstance(outcome, Reply) else outcome


def _authorizes(request: ServiceRequest) -> bool:
    """Return whether the action sets the header itself; then no token is fetched."""
    return any(name.lower() == "authorization" for name in request.headers)


def _authorization(credential: Credential, token: Token) -> str:
    return f"{credential.scheme} {token.text}" if credential.scheme else token.text


def _not_sent(token: NoToken) -> Unreachable | TokenRefused:
    if token.is_refusal:
        return TokenRefused(why=token.why, retry_after=token.retry_after)
    return Unreachable(why=token.why)


def _answered(reply: Reply) -> Answered:
    """Return the response with its body as JSON, else as text, or None if it is empty."""
    answered = Answered(status=reply.status, unusable=reply.unusable, retry_after=reply.retry_after)
    if reply.unusable is not None or not reply.text:
        return answered
    if not reply.may_be_json:
        return replace(answered, body=reply.text)
    try:
        return replace(answered, body=read_json(reply.text))
    except RecursionError:
        return replace(answered, unusable="nested too deep")
    except ValueError:
        if reply.must_be_json:
            return replace(answered, unusable=f"not JSON, although it is sent as {reply.media_type}")
        return replace(answered, body=reply.text)
