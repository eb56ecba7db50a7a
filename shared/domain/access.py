"""Access keys, sessions and roles. Source: docs/design.md section 9."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from shared.domain.ids import AccountId


class Role(StrEnum):
    """The permissions of an access key. Each role includes the ones below it."""

    ADMIN = "admin"
    """Definitions and keys."""
    OPERATOR = "operator"
    """Commands."""
    VIEWER = "viewer"
    """Reading."""

    def includes(self, other: "Role") -> bool:
        """Return whether this role includes ``other``."""
        order = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)
        return order.index(self) >= order.index(other)


class Session(Struct, frozen=True, kw_only=True):
    """A login. Its token has the permissions of the key it was opened with, and expires with that key.

    ``token_hash`` is the HMAC-SHA256 of the token under the pepper, in hex. The session expires at ``idle_until``,
    which each use moves.
    """

    token_hash: str
    account_id: AccountId
    key_id: str
    opened_at: datetime
    idle_until: datetime


class AccessKey(Struct, frozen=True, kw_only=True):
    """A key of one account with one role.

    ``secret_hash`` is the HMAC-SHA256 of its secret under the pepper, in hex. ``created_by`` is the id of the key that
    created it.
    """

    key_id: str
    account_id: AccountId
    role: Role
    secret_hash: str
    created_at: datetime
    description: str = ""
    created_by: str | None = None
