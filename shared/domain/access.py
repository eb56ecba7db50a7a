"""Who may do what. Source: design section 9."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.ids import AccountId


class Role(StrEnum):
    """What a key lets its holder do; each may also do what the ones below it may."""

    ADMIN = "admin"
    """Definitions and keys."""
    OPERATOR = "operator"
    """Commands."""
    VIEWER = "viewer"
    """Reading."""

    def includes(self, other: "Role") -> bool:
        """Whether it may do what ``other`` may."""
        order = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who has shown a key once and shows a token since.

    token_hash: HMAC-SHA256 of the token under the pepper, hex. key_id: the key it stands for, and ends with.
    idle_until: when it has expired, unless it is used before.
    """

    token_hash: str
    account_id: AccountId
    key_id: str
    opened_at: datetime
    idle_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """A key of one account with one role.

    secret_hash: HMAC-SHA256 of its secret under the pepper, hex. created_by: the id of the key it was made by.
    """

    key_id: str
    account_id: AccountId
    role: Role
    secret_hash: str
    created_at: datetime
    description: str = ""
    created_by: str | None = None
