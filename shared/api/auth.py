"""Who is calling: access keys and strategy secrets. Source: design section 9."""

import base64
import binascii
from dataclasses import dataclass

from shared.application.ports import AccessStore, SecretHasher
from shared.domain.access import Role
from shared.domain.ids import AccountId
from shared.domain.strategy import StrategyHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who has shown a valid key."""

    key_id: str
    account_id: AccountId
    role: Role


def principal_of(authorization: str | None, access: AccessStore, hasher: SecretHasher) -> Principal | None:
    """Whose ``Bearer <keyId>.<secret>`` this is; None for a missing, malformed, unknown or wrong one."""
    scheme, _, token = (authorization or "").partition(" ")
    key_id, dot, secret = token.strip().partition(".")
    if scheme.lower() != "bearer" or not dot or not key_id or not secret:
        return None
    key = access.key(key_id)
    # An unknown key costs the same comparison as a wrong secret.
    matches = hasher.matches(secret, key.secret_hash if key else hasher.hash(""))
    if key is None or not matches:
        return None
    return Principal(key_id=key.key_id, account_id=key.account_id, role=key.role)


def secret_opens(header: str | None, head: StrategyHead, hasher: SecretHasher) -> bool:
    """Whether a ``Strategy-Secret`` header (base64) is the strategy's; one without a secret needs none."""
    if head.secret_hash is None:
        return True
    try:
        secret = base64.b64decode(header or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    return hasher.matches(secret, head.secret_hash)
