"""Calls services over HTTP.

Source: shared/application/ports.py (ServiceCaller); docs/contracts/core.md sections 2.2 and 4 (12, 13);
docs/service-calls.md.
"""

from functools import partial

from msgspec.structs import replace

from shared.adapters.http.addresses import AddressGuard, Network
from shared.adapters.http.call_secrets import CallSecrets
from shared.adapters.http.egress import Egress, Resolver, Seconds, system_resolver
from shared.adapters.http.exchange import MAX_BODY_BYTES, Reply, Sending, exchange, read_json
from shared.adapters.http.guarded_http import GuardedConnections
from shared.adapters.http.tokens import NoToken, Token, TokenCache
from shared.application.ports import SecretRefusedError, Secrets
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

    ``seconds`` is ``time.monotonic``. ``secrets`` has those that requests name. ``allowed`` are internal networks that
    calls may go to. ``ca_file`` holds the trusted certificates; None means certifi's. ``resolve`` turns names into
    addresses.
    """

    def __init__(
        self,
        *,
        seconds: Seconds,
        secrets: Secrets,
        allowed: tuple[Network, ...] = (),
        ca_file: str | None = None,
        resolve: Resolver = system_resolver,
    ) -> None:
        self._connections = GuardedConnections(
            Egress(seconds, AddressGuard(allowed), resolve), max_body=MAX_BODY_BYTES, ca_file=ca_file
        )
        self._exchange = partial(exchange, self._connections)
        self._tokens = TokenCache(self._exchange, seconds)
        self._secrets = secrets
        self._seconds = seconds

    def call(self, request: ServiceRequest) -> CallOutcome:
        secrets = CallSecrets(self._secrets, self._seconds)
        try:
            outcome = self._sent(secrets, request)
        except SecretRefusedError as error:
            return Unreachable(why=str(error), tried=False)
        return secrets.removed_from(outcome)

    def close(self) -> None:
        """Close the kept connections; tokens are kept, and later calls connect again."""
        # For the start of an invocation: while a container is frozen, its connections close without its notice.
        self._connections.close()

    def _sent(self, secrets: CallSecrets, request: ServiceRequest) -> CallOutcome:
        """Send a request, with a token if it needs one, and once more if its token or a secret was refused.

        Raises: SecretRefusedError: nothing was sent. UnavailableError.
        """
        filled = secrets.fill(request)
        if request.credential is not None and not _authorizes(request):
            return self._authorized(secrets, request, filled, request.credential)
        outcome = self._called(filled)
        if not _is_unauthorized(outcome) or not secrets.renew():
            return outcome
        try:
            again = secrets.fill(request)
        except SecretRefusedError:
            # The service has answered, and the new value cannot be sent to it.
            return outcome
        return self._called(again)

    def _authorized(
        self, secrets: CallSecrets, request: ServiceRequest, filled: ServiceRequest, credential: Credential
    ) -> CallOutcome:
        """Call with a token, and once more if the service answers 401: with a new one, and with changed secrets.

        At most two tokens are fetched, because the lease allows no more.
        """
        has_changed = False
        ready = secrets.fill_credential(credential)
        token = self._tokens.token(ready)
        if isinstance(token, NoToken) and token.is_unauthorized and secrets.renew():
            has_changed = True
            filled, ready = secrets.fill(request), secrets.fill_credential(credential)
            token = self._tokens.token(ready)
        if isinstance(token, NoToken):
            return _not_sent(token)
        outcome = self._called(filled, _authorization(ready, token))
        if has_changed or not _is_unauthorized(outcome):
            return outcome
        if secrets.renew():
            try:
                filled, ready = secrets.fill(request), secrets.fill_credential(credential)
            except SecretRefusedError:
                return outcome
        renewed = self._tokens.renewed(ready, refused=token)
        if isinstance(renewed, NoToken):
            # With a token the service might do it, so its 401 is not the last word while the token is refused for now.
            return _not_sent(renewed) if renewed.is_refusal else outcome
        return self._called(filled, _authorization(ready, renewed))

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


def _is_unauthorized(outcome: CallOutcome) -> bool:
    return isinstance(outcome, Answered) and outcome.status == _UNAUTHORIZED


def _authorizes(request: ServiceRequest) -> bool:
    """Return whether the action sets the header itself; then no token is fetched."""
    return any(name.lower() == "authorization" for name in request.headers)


def _authorization(credential: Credential, token: Token) -> str:
    return f"{credential.scheme} {token.text}" if credential.scheme else token.text


def _not_sent(token: NoToken) -> Unreachable | TokenRefused:
    if token.is_refusal:
        return TokenRefused(why=token.why, retry_after=token.retry_after)
    return Unreachable(why=token.why, tried=False)


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
            return replace(answered, unusable=f"not JSON, although its type says so: {reply.media_type!r}")
        return replace(answered, body=reply.text)
