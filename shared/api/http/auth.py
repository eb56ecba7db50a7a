"""Authentication by access keys, tokens and strategy secrets. Source: docs/design.md section 9."""

import base64
import binascii
from collections.abc import Mapping
from enum import Enum, auto

from shared.api.http.errors import UnauthorizedError
from shared.api.http.request import Incoming
from shared.api.http.route import Principal, Route
from shared.domain.strategy.model import StrategyHead
from shared.domain.tokens import TokenRefused, caller_of
from shared.domain.validation.texts import text_fault


def bearer(incoming: Incoming, route: Route) -> Principal | None:
    """Authenticate by ``Authorization: Bearer <keyId>.<secret>``, or by the token that API Gateway has verified.

    Return None if the header is missing or malformed, or if the key is unknown or its secret wrong.
    Raises: UnauthorizedError: the token does not name an account and a role.
    """
    if incoming.claims is not None:
        return _holder(incoming.claims, incoming, route)
    scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
    key_id, _, secret = token.strip().partition(".")
    return _principal(incoming, key_id, secret) if scheme.lower() == "bearer" else None


def basic(incoming: Incoming, _route: Route) -> Principal | None:
    """Authenticate by ``Authorization: Basic base64(<keyId>:<secret>)``.

    Return None if the header is missing or malformed, or if the key is unknown or its secret wrong.
    """
    scheme, _, encoded = incoming.headers.get("authorization", "").partition(" ")
    try:
        # Without validate, Python skips characters outside the alphabet.
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    key_id, _, secret = decoded.partition(":")
    return _principal(incoming, key_id, secret) if scheme.lower() == "basic" else None


def _holder(claims: Mapping[str, object], incoming: Incoming, route: Route) -> Principal:
    caller = caller_of(claims, incoming.deployment.tokens)
    if isinstance(caller, TokenRefused):
        raise UnauthorizedError(route, caller.why)
    return Principal(name=caller.name, account_id=caller.account_id, role=caller.role)


def _principal(incoming: Incoming, key_id: str, secret: str) -> Principal | None:
    if not key_id or not secret or text_fault(key_id + secret) is not None:
        return None
    key, hasher = incoming.ports.access.key(key_id), incoming.hasher
    # An unknown key costs the same comparison as a wrong secret, so that timing does not reveal which keys exist.
    matches = hasher.matches(secret, key.secret_hash if key else hasher.hash(""))
    if key is None or not matches:
        return None
    return Principal(name=key.key_id, account_id=key.account_id, role=key.role)


class Secret(Enum):
    """The result of comparing a ``Strategy-Secret`` header with the secret of a strategy."""

    RIGHT = auto()
    MISSING = auto()
    UNDECODABLE = auto()
    WRONG = auto()


def compare_secret(incoming: Incoming, head: StrategyHead) -> Secret:
    """Compare the ``Strategy-Secret`` header (base64) with the strategy's secret.

    The result is ``RIGHT`` if the strategy has no secret.
    """
    header = incoming.headers.get("strategy-secret")
    if head.secret_hash is None:
        return Secret.RIGHT
    if not header:
        return Secret.MISSING
    try:
        secret = base64.b64decode(header, validate=True).decode()
    except (binascii.Error, ValueError):
        return Secret.UNDECODABLE
    return Secret.RIGHT if incoming.hasher.matches(secret, head.secret_hash) else Secret.WRONG
