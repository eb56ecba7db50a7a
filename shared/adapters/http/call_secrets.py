"""The secrets of one call: filled into the request as it is sent, and removed from the answer.

Source: docs/decisions/0046; docs/service-calls.md.
"""

import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, assert_never
from urllib.parse import quote, quote_plus

from msgspec import Struct, field
from msgspec.structs import replace

from shared.adapters.http.egress import Seconds
from shared.application.ports import ConnectionLostError, SecretRefusedError, Secrets, SecretValue
from shared.domain.redacted import Redacted
from shared.domain.steps.call import (
    AddressRefused,
    Answered,
    CallOutcome,
    Credential,
    SecretSlot,
    ServiceRequest,
    TimedOut,
    TokenRefused,
    Unreachable,
    why_no_header,
)
from shared.domain.steps.outcome import SECRETS_TIMEOUT_SECONDS
from shared.domain.strategy.model import Json
from shared.domain.strategy.secret_names import SecretReference

READ_SECONDS = 7.0
"""The longest time that one secret takes to be read, with its repeat: see ``_SECRETS_CONFIG`` of the bootstrap."""

MIN_REMOVED = 8
"""Values shorter than this are not removed from answers: a short text occurs in any answer."""

REMOVED = "***"
"""The text that replaces a secret in an answer."""

_HALF_OF_PAIR = re.compile("[\ud800-\udfff]")
_ESCAPE = re.compile("%..")
_QUOTE = re.compile(r": ['\"].*", re.DOTALL)

Filled = TypeVar("Filled", ServiceRequest, Credential)


class CallSecrets(Redacted, Struct):
    """The secrets of one call.

    Each is read at most twice: before it is sent, and after a refusal. ``seconds`` is ``time.monotonic``.
    """

    HIDDEN = ("_seen",)

    secrets: Secrets
    seconds: Seconds
    _used: dict[SecretReference, SecretValue] = field(default_factory=dict)
    _fresh: set[SecretReference] = field(default_factory=set)
    _seen: set[str] = field(default_factory=set)
    _began_at: float | None = None

    def fill(self, request: ServiceRequest) -> ServiceRequest:
        """Return the request with the values of its secrets.

        Raises: SecretRefusedError: a secret cannot be used. UnavailableError.
        """
        if not request.secrets:
            return request
        parts = {"headers": request.headers, "params": request.params, "body": request.body}
        return replace(request, **self._filled(parts, request.secrets), secrets=())

    def fill_credential(self, credential: Credential) -> Credential:
        """Return the credential with the values of its secrets. Raises: as ``fill``."""
        if not credential.secrets:
            return credential
        authorization = credential.request
        parts = {"headers": authorization.headers, "params": authorization.params, "data": authorization.data}
        return replace(
            credential, request=replace(authorization, **self._filled(parts, credential.secrets)), secrets=()
        )

    def renew(self) -> bool:
        """Read the cached secrets of this call again, because it was refused, and return whether one has changed.

        A secret that was read for this call is not read again.
        Raises: UnavailableError.
        """
        self._began_at = None
        cached = {secret: value for secret, value in self._used.items() if not value.is_fresh}
        for secret, value in cached.items():
            self._check_time()
            try:
                whole = replace(secret, key=None)
                if whole in self._fresh:
                    renewed = self._read(secret)
                else:
                    renewed = self.secrets.renewed(secret, refused=value)
                    self._fresh |= {whole} if renewed.is_fresh else set()
                self._keep(secret, renewed)
            except SecretRefusedError:
                # It is gone, so the refusal of the service is the last word.
                return False
        return any(self._used[secret].text != value.text for secret, value in cached.items())

    def removed_from(self, outcome: CallOutcome) -> CallOutcome:
        """Return the outcome of the call with ``***`` instead of each secret that was sent."""
        if not self._used:
            return outcome
        match outcome:
            case Answered():
                return self._removed_from_answer(outcome)
            case TimedOut() | Unreachable() | AddressRefused() | TokenRefused():
                # These quote a header of the answer at most.
                return replace(outcome, why=_QUOTE.sub("", outcome.why))
            case _:
                assert_never(outcome)

    def _removed_from_answer(self, answer: Answered) -> Answered:
        if answer.unusable is not None:
            return replace(answer, unusable=_QUOTE.sub("", answer.unusable))
        try:
            return replace(answer, body=_Removal(self._seen).of(answer.body))
        except RecursionError:
            # The parser allows more levels than this does. The call was sent, so it must have an outcome.
            return replace(answer, body=None, unusable="nested too deep")

    def _filled(self, parts: Mapping[str, Json], slots: Iterable[SecretSlot]) -> dict[str, Any]:
        filled = dict(parts)
        # From the last one to the first one of a text, so that positions stay right.
        for slot in sorted(slots, key=lambda one: one.start, reverse=True):
            value = self._value(slot.secret)
            where, *rest = slot.place
            filled[str(where)] = _put(filled[str(where)], rest, slot, value)
        for name, value in dict(filled["headers"]).items():
            why = why_no_header(value)
            if why is not None:
                raise SecretRefusedError(f"header {name} holds {why}, which comes from a secret")
        return filled

    def _value(self, secret: SecretReference) -> str:
        if secret not in self._used:
            self._check_time()
            self._keep(secret, self._read(secret))
        text = self._used[secret].text
        if _HALF_OF_PAIR.search(text):
            raise SecretRefusedError(f"{secret}: it holds half of a surrogate pair")
        return text

    def _read(self, secret: SecretReference) -> SecretValue:
        """Return a secret. It is fresh if another key of it was read for this call."""
        value = self.secrets.read(secret)
        whole = replace(secret, key=None)
        if value.is_fresh:
            self._fresh.add(whole)
        return value if whole not in self._fresh else replace(value, is_fresh=True)

    def _check_time(self) -> None:
        """Refuse to begin another read if it might not end in the time that the lease has for secrets."""
        now = self.seconds()
        self._began_at = now if self._began_at is None else self._began_at
        if now - self._began_at > SECRETS_TIMEOUT_SECONDS - READ_SECONDS:
            raise ConnectionLostError("the secrets of a call were not read in time")

    def _keep(self, secret: SecretReference, value: SecretValue) -> None:
        self._used[secret] = value
        self._seen.add(value.text)


def _put(value: Json, place: list[str | int], slot: SecretSlot, text: str) -> Json:
    """Return a JSON value with a text in a slot of a string."""
    if not place:
        return f"{value[: slot.start]}{text}{value[slot.end :]}"
    step, *rest = place
    copy: Any = value.copy() if isinstance(value, list) else dict(value)
    copy[step] = _put(value[step], rest, slot, text)
    return copy


class _Removal:
    """The removal of some texts from a JSON value, as they are and in the forms in which services repeat them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = {text for text in texts if len(text) >= MIN_REMOVED}
        # Services may cut off the blanks around a value.
        plain = self._texts | {text.strip() for text in self._texts}
        forms = {form for text in plain for form in _forms(text) if len(form) >= MIN_REMOVED}
        # The longest first, so that no rest of one is left.
        ordered = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def of(self, value: Json) -> Json:
        """Return the value without the texts."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self._pattern.sub(REMOVED, value)
        if isinstance(value, Mapping):
            return {self._pattern.sub(REMOVED, name): self.of(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self.of(entry) for entry in value]
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return REMOVED if is_whole and str(value) in self._texts else value


def _forms(text: str) -> set[str]:
    """Return a text as it is, and as it stands in a URL, a form, a JSON text, and HTML."""
    # JavaScript's encodeURIComponent leaves these as they are.
    encoded = {quote(text, safe=""), quote(text), quote_plus(text), quote(text, safe="!'()*")}
    return {
        text,
        *encoded,
        *(_ESCAPE.sub(lambda found: found[0].lower(), one) for one in encoded),
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        json.dumps(text).replace("/", "\\/")[1:-1],
        html.escape(text),
        html.escape(text, quote=False),
        html.escape(text).replace("&#x27;", "&#39;"),
        html.escape(text).replace("&#x27;", "&#039;"),
        html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    }
