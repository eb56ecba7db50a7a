"""Tokens for calls: fetched when needed, kept while they last, one fetch at a time.

Source: contracts/core.md sections 2.2 and 4 (12).
"""

import hashlib
import json
import math
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import assert_never

from shared.adapters.http.egress import Seconds
from shared.adapters.http.exchange import Reply, Sending, read_json
from shared.domain.steps.call import AddressRefused, Credential, TimedOut, Unreachable
from shared.domain.steps.outcome import TOKEN_TIMEOUT_SECONDS
from shared.domain.strategy.model import Json

SPARE_SECONDS = 60.0
"""So much before its ``expires_in`` a token is not used any more."""

UNTOLD_SECONDS = 3600.0
"""How long a token is kept whose answer does not say how long it lasts."""

MAX_TOKENS = 256
"""So many are kept; then the one not used for longest goes."""

_UNSENDABLE = re.compile(r"[^\x20-\x7e\xa0-\xff]")

Exchange = Callable[[Sending], Reply | TimedOut | Unreachable | AddressRefused]
"""Sends a request."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token. lasts_until: on the clock of its cache."""

    text: str = field(repr=False)
    lasts_until: float = math.inf


@dataclass(frozen=True, slots=True)
class NoToken:
    """There is none; why tells no secret."""

    why: str


@dataclass(slots=True)
class _Place:
    """Where a token is kept. lock: held while it is fetched."""

    lock: Lock = field(default_factory=Lock)
    token: Token | None = None


class TokenCache:
    """The tokens of one container, by the request that fetches them."""

    def __init__(self, exchange: Exchange, seconds: Seconds) -> None:
        self._exchange = exchange
        self._seconds = seconds
        self._lock = Lock()
        self._places: OrderedDict[bytes, _Place] = OrderedDict()

    def token(self, credential: Credential) -> Token | NoToken:
        """A token that lasts: the kept one, else a new one."""
        return self._unless_refused(credential, None)

    def renewed(self, credential: Credential, refused: Token) -> Token | NoToken:
        """Another token in place of one that the service refused."""
        return self._unless_refused(credential, refused)

    def _unless_refused(self, credential: Credential, refused: Token | None) -> Token | NoToken:
        if credential.request.no_cache:
            return self._fetched(credential)
        place = self._place(_key(credential))
        with place.lock:
            kept = place.token
            if kept is not None and kept is not refused and self._seconds() < kept.lasts_until:
                return kept
            fetched = self._fetched(credential)
            place.token = fetched if isinstance(fetched, Token) else None
            return fetched

    def _place(self, key: bytes) -> _Place:
        with self._lock:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
            if len(self._places) > MAX_TOKENS:
                self._places.popitem(last=False)
            return place

    def _fetched(self, credential: Credential) -> Token | NoToken:
        request = credential.request
        asked_at = self._seconds()
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
                return _token_in(reply, credential.path, asked_at)
            case TimedOut(why=why) | Unreachable(why=why) | AddressRefused(why=why):
                return NoToken(f"no token: {why}")
            case _:
                assert_never(reply)


def _key(credential: Credential) -> bytes:
    """Names what a token is fetched with, and tells nothing of it."""
    request = credential.request
    parts = [request.url, request.method, dict(request.headers), dict(request.params), request.data]
    return hashlib.sha256(json.dumps([*parts, credential.path], sort_keys=True).encode()).digest()


def _token_in(reply: Reply, path: str | None, asked_at: float) -> Token | NoToken:
    """The token of an answer: at its path, or the whole text where there is no path."""
    if not 200 <= reply.status < 300:  # noqa: PLR2004 - the 2xx class
        return NoToken(f"no token: the authorization answered {reply.status}")
    if reply.unusable is not None:
        return NoToken(f"no token: the body of the authorization's answer is {reply.unusable}")
    if path is None:
        return _token(reply.text.strip(), asked_at + UNTOLD_SECONDS)
    try:
        around = body = read_json(reply.text)
    except (ValueError, RecursionError):
        return NoToken("no token: the authorization did not answer in JSON")
    *way, name = path.split(".")
    for part in way:
        around = _member(around, part)
    told = [_seconds_in(_member(one, "expires_in")) for one in (around, body)]
    lasts = next((seconds - SPARE_SECONDS for seconds in told if seconds is not None), UNTOLD_SECONDS)
    return _token(_member(around, name), asked_at + lasts)


def _token(found: Json, lasts_until: float) -> Token | NoToken:
    if not isinstance(found, str) or not found:
        return NoToken("no token: the authorization's answer holds no text at credentialPath")
    if _UNSENDABLE.search(found):
        return NoToken("no token: what the authorization answered cannot stand in a header")
    return Token(found, lasts_until)


def _member(value: Json, name: str) -> Json:
    if isinstance(value, list) and name.isdecimal():
        return value[int(name)] if int(name) < len(value) else None
    return value.get(name) if isinstance(value, Mapping) else None


def _seconds_in(value: Json) -> float | None:
    """A number of seconds; some services write it as text."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
