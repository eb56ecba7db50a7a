"""Calls services over HTTP.

Source: shared/application/ports.py (ServiceCaller); docs/contracts/core.md sections 2.2 and 4 (12, 13);
docs/service-calls.md.
"""

from functools import partial

from shared.adapters.http.addresses import AddressGuard, Network
from shared.adapters.http.egress import Egress, Resolver, Seconds, system_resolver
from shared.adapters.http.exchange import Reply, Sending, exchange, read_json
from shared.adapters.http.guarded_http import guarded_session
from shared.adapters.http.tokens import NoToken, Token, TokenCache
from shared.domain.steps.call import Answered, CallOutcome, Credential, ServiceRequest, Unreachable

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
            return Unreachable(why=token.why)
        outcome = self._called(request, _authorization(credential, token))
        if not isinstance(outcome, Answered) or outcome.status != _UNAUTHORIZED:
            return outcome
        renewed = self._tokens.renewed(credential, refused=token)
        if isinstance(renewed, NoToken):
            return outcome
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


def _answered(reply: Reply) -> Answered:
    """Return the response with its body as JSON, else as text, or None if it is empty."""
    if reply.unusable is not None:
        return Answered(status=reply.status, unusable=reply.unusable)
    if not reply.content:
        return Answered(status=reply.status)
    try:
        return Answered(status=reply.status, body=read_json(reply.content.decode(reply.charset)))
    except RecursionError:
        return Answered(status=reply.status, unusable="nested too deep")
    except ValueError:
        return Answered(status=reply.status, body=reply.text)
