"""Who is calling: access keys and strategy secrets. Source: design section 9."""

import base64
import binascii
from dataclasses import dataclass
from enum import Enum, auto

from shared.application.ports import AccessStore, SecretHasher
from shared.domain.access import Role
from shared.domain.ids import AccountId
from shared.domain.strategy.model import StrategyHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who has shown a valid key."""

    key_id: str
    account_id: AccountId
    role: Role


def principal_of(authorization: str | None, access: AccessStore, hasher: SecretHasher) -> Principal | None:
    """Whose ``Bearer <keyId>.<secret>`` this is; None for a missing, malformed, unknown or wrong one."""
    scheme, _, token = (authorization or "").partition(" ")
    key_id, _, secret = token.strip().partition(".")
    return _principal(key_id, secret, access, hasher) if scheme.lower() == "bearer" else None


def basic_principal_of(
    authorization: str | None, access: AccessStore, hasher: SecretHasher
) -> Principal | None:
    """Whose ``Basic base64(<keyId>:<secret>)`` this is; None for a missing, malformed, unknown or wrong one."""
    scheme, _, encoded = (authorization or "").partition(" ")
    try:
        told = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    key_id, _, secret = told.partition(":")
    return _principal(key_id, secret, access, hasher) if scheme.lower() == "basic" else None


def _principal(key_id: str, secret: str, access: AccessStore, hasher: SecretHasher) -> Principal | None:
    if not key_id or not secret:
        return None
    key = access.key(key_id)
    # An unknown key costs the same comparison as a wrong secret.
    matches = hasher.matches(secret, key.secret_hash if key else hasher.hash(""))
    if key is None or not matches:
        return None
    return Principal(key_id=key.key_id, account_id=key.account_id, role=key.role)


class Secret(Enum):
    """What a ``Strategy-Secret`` header comes to."""

    RIGHT = auto()
    MISSING = auto()
    UNDECODABLE = auto()
    WRONG = auto()


def secret_of(header: str | None, head: StrategyHead, hasher: SecretHasher) -> Secret:
    """Whether a ``Strategy-Secret`` header (base64) is the strategy's; one without a secret needs none."""
    if head.secret_hash is None:
        return Secret.RIGHT
    if not header:
        return Secret.MISSING
    try:
        secret = base64.b64decode(header, validate=True).decode()
    except (binascii.Error, ValueError):
        return Secret.UNDECODABLE
    return Secret.RIGHT if hasher.matches(secret, head.secret_hash) else Secret.WRONG
