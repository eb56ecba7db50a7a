"""Tokens for calls: fetched when needed, cached while they are valid, one fetch at a time.

Source: docs/contracts/core.md sections 2.2 and 4 (12).
"""

import hashlib
import json
import math
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from http import HTTPStatus
from threading import Lock
from typing import assert_never

from msgspec import Struct, field

from shared.adapters.http.egress import Seconds
from shared.adapters.http.exchange import Reply, Sending, read_json
from shared.domain.redacted import Redacted
from shared.domain.steps.call import AddressRefused, Credential, RetryAfter, TimedOut, Unreachable
from shared.domain.steps.outcome import TOKEN_TIMEOUT_SECONDS
from shared.domain.strategy.model import Json

SPARE_SECONDS = 60.0
"""A token is not used any more this long before its ``expires_in``."""

DEFAULT_SECONDS = 3600.0
"""How long a token is cached if its response does not say how long it is valid."""

MAX_TOKENS = 256
"""The number of cached tokens; beyond it the least recently used one is dropped."""

_REFUSING = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
# RFC 6749 section 5.2: a client with a wrong secret gets 400, or 401.
_NOT_ACCEPTING = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED)
_UNSENDABLE = re.compile(r"[^\x20-\x7e\xa0-\xff]")

Exchange = Callable[[Sending], Reply | TimedOut | Unreachable | AddressRefused]
"""Sends a request."""


class Token(Redacted, Struct, frozen=True):
    """A token, valid until ``lasts_until`` on the clock of its cache."""

    HIDDEN = ("text",)

    text: str
    lasts_until: float = math.inf


class NoToken(Struct, frozen=True):
    """No token could be fetched; ``why`` contains no secret.

    With ``is_refusal`` the authorization asked to try again later, after ``retry_after`` if it said so. With
    ``is_unauthorized`` it did not accept the request.
    """

    why: str
    is_refusal: bool = False
    is_unauthorized: bool = False
    retry_after: RetryAfter | None = None


class _Slot(Struct):
    """The place of one token in the cache. ``lock`` is held while the token is fetched."""

    lock: Lock = field(default_factory=Lock)
    token: Token | None = None


class TokenCache:
    """The tokens of one container, by the request that fetches them."""

    def __init__(self, exchange: Exchange, seconds: Seconds) -> None:
        self._exchange = exchange
        self._seconds = seconds
        self._lock = Lock()
        self._slots: OrderedDict[bytes, _Slot] = OrderedDict()

    def token(self, credential: Credential) -> Token | NoToken:
        """Return a valid token: the cached one, else a new one."""
        return self._unless_refused(credential, None)

    def renewed(self, credential: Credential, refused: Token) -> Token | NoToken:
        """Return a new token instead of the token that the service refused."""
        return self._unless_refused(credential, refused)

    def _unless_refused(self, credential: Credential, refused: Token | None) -> Token | NoToken:
        if credential.request.no_cache:
            return self._fetched(credential)
        slot = self._slot(_key(credential))
        with slot.lock:
            kept = slot.token
            if kept is not None and kept is not refused and self._seconds() < kept.lasts_until:
                return kept
            fetched = self._fetched(credential)
            slot.token = fetched if isinstance(fetched, Token) else None
            return fetched

    def _slot(self, key: bytes) -> _Slot:
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            if len(self._slots) > MAX_TOKENS:
                self._slots.popitem(last=False)
            return slot

    def _fetched(self, credential: Credential) -> Token | NoToken:
        request = credential.request
        requested_at = self._seconds()
        reply = self._exchange(
            Sending(
                method=request.method,
                url=request.url,
                headers=request.headers,
                params=request.params,
                body=request.data,
                seconds=TOKEN_TIMEOUT_SECONDS,
            )
        )
        match reply:
            case Reply():
                return _token_in(reply, credential.path, requested_at)
            case TimedOut(why=why) | Unreachable(why=why) | AddressRefused(why=why):
                return NoToken(f"no token: {why}")
            case _:
                assert_never(reply)


def _key(credential: Credential) -> bytes:
    """Return a name for the credential that a token is fetched with, which reveals nothing of it."""
    request = credential.request
    parts = [request.url, request.method, dict(request.headers), dict(request.params), request.data]
    return hashlib.sha256(json.dumps([*parts, credential.path], sort_keys=True).encode()).digest()


def _token_in(reply: Reply, path: str | None, requested_at: float) -> Token | NoToken:
    """Return the token of a response: at its path, or the whole text if there is no path."""
    if not 200 <= reply.status < 300:  # noqa: PLR2004 - the 2xx class
        return NoToken(
            f"no token: the authorization returned HTTP {reply.status}",
            is_refusal=reply.status in _REFUSING,
            is_unauthorized=reply.status in _NOT_ACCEPTING,
            retry_after=reply.retry_after,
        )
    if reply.unusable is not None:
        return NoToken(f"no token: the body of the authorization's response is {reply.unusable}")
    if path is None:
        return _token(reply.text.strip(), requested_at + DEFAULT_SECONDS)
    try:
        around = body = read_json(reply.text)
    except (ValueError, RecursionError):
        return NoToken("no token: the authorization's response is not JSON")
    *parents, name = path.split(".")
    for part in parents:
        around = _member(around, part)
    lifetimes = [_seconds_in(_member(place, "expires_in")) for place in (around, body)]
    lasts = next((seconds - SPARE_SECONDS for seconds in lifetimes if seconds is not None), DEFAULT_SECONDS)
    return _token(_member(around, name), requested_at + lasts)


def _token(found: Json, lasts_until: float) -> Token | NoToken:
    if not isinstance(found, str) or not found:
        return NoToken("no token: the authorization's response has no text at credentialPath")
    if _UNSENDABLE.search(found):
        return NoToken("no token: the authorization returned a text that cannot be sent in a header")
    return Token(found, lasts_until)


def _member(value: Json, name: str) -> Json:
    if isinstance(value, list) and name.isdecimal():
        return value[int(name)] if int(name) < len(value) else None
    return value.get(name) if isinstance(value, Mapping) else None


def _seconds_in(value: Json) -> float | None:
    """Return a number of seconds, which some services write as text."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
