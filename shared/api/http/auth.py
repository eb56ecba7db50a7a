"""Who is calling: access keys and strategy secrets. Source: design section 9."""

import base64
import binascii
from enum import Enum, auto

from shared.api.http.request import Incoming
from shared.api.http.route import Principal, Route
from shared.domain.strategy.model import StrategyHead


def bearer(incoming: Incoming, _route: Route) -> Principal | None:
    """Authenticate by ``Authorization: Bearer <keyId>.<secret>``; None if it is missing, malformed or wrong."""
    scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
    key_id, _, secret = token.strip().partition(".")
    return _principal(incoming, key_id, secret) if scheme.lower() == "bearer" else None


def basic(incoming: Incoming, _route: Route) -> Principal | None:
    """Authenticate by ``Authorization: Basic base64(<keyId>:<secret>)``; None if it is missing, malformed or wrong."""
    scheme, _, encoded = incoming.headers.get("authorization", "").partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    key_id, _, secret = decoded.partition(":")
    return _principal(incoming, key_id, secret) if scheme.lower() == "basic" else None


def _principal(incoming: Incoming, key_id: str, secret: str) -> Principal | None:
    if not key_id or not secret:
        return None
    key, hasher = incoming.ports.access.key(key_id), incoming.hasher
    # An unknown key costs the same comparison as a wrong secret.
    matches = hasher.matches(secret, key.secret_hash if key else hasher.hash(""))
    if key is None or not matches:
        return None
    return Principal(key_id=key.key_id, account_id=key.account_id, role=key.role)


class Secret(Enum):
    """How a ``Strategy-Secret`` header compares with the secret of a strategy."""

    RIGHT = auto()
    MISSING = auto()
    UNDECODABLE = auto()
    WRONG = auto()


def compare_secret(incoming: Incoming, head: StrategyHead) -> Secret:
    """Compare the ``Strategy-Secret`` header (base64) with the strategy's; a strategy without a secret needs none."""
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
