"""References to secrets in templates: ``{{secret.NAME}}``, ``{{secret.NAME#key}}`` and ``{{parameter.NAME}}``.

The domain knows their names, never their values: a caller of services fills them in as it sends a call.
Source: docs/contracts/core.md section 4.1; docs/decisions/0046.
"""

import re
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from shared.domain.ids import AccountId
from shared.domain.strategy.model import Json
from shared.expressions import references_in

MAX_NAME_LENGTH = 128
"""The longest name of a secret or parameter, without the prefix of its account."""

# No dots, so no name leads out of the account's prefix, and a name is one segment of a path in a template.
_NAME = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+){0,4}")
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


class SecretKind(StrEnum):
    """Where a secret is kept. It is the first segment of a reference."""

    SECRET = "secret"  # noqa: S105 - no secret
    """AWS Secrets Manager."""
    PARAMETER = "parameter"
    """AWS Systems Manager Parameter Store."""


RESERVED = frozenset(SecretKind)
"""The first segments of references. No variable of an expression may have such a name."""


class SecretReference(Struct, frozen=True, kw_only=True):
    """A secret of an account. ``key`` is a member of a secret that is a JSON object, None for the whole text."""

    account_id: AccountId
    kind: SecretKind
    name: str
    key: str | None = None

    def __str__(self) -> str:
        """Return the reference as templates have it, without braces."""
        return f"{self.kind}.{self.name}" + ("" if self.key is None else f"#{self.key}")


def reference_of(segments: Sequence[str], account_id: AccountId) -> SecretReference:
    """Return the secret that a placeholder names, in the account of its strategy."""
    name, has_key, key = segments[1].partition("#")
    return SecretReference(
        account_id=account_id, kind=SecretKind(segments[0]), name=name, key=key if has_key else None
    )


def why_no_reference(segments: Sequence[str]) -> str | None:
    """Return the rule that a placeholder with a reserved first segment breaks, or None."""
    kind, rest = segments[0], ".".join(segments[1:])
    name, has_key, key = rest.partition("#")
    if len(name) > MAX_NAME_LENGTH or not _NAME.fullmatch(name):
        return (
            f"the name of a {kind} must be 1 to {MAX_NAME_LENGTH} letters, digits, '_' and '-', "
            "with '/' between at most 5 parts"
        )
    if has_key and kind == SecretKind.PARAMETER:
        return "a parameter has no '#key': only a secret may be a JSON object"
    if has_key and not _KEY.fullmatch(key):
        return "the key after '#' must be 1 to 64 letters, digits, '_' and '-'"
    return None


def has_references(*values: Json) -> bool:
    """Return whether templates in these values name a secret."""
    return any(next(references_in(value, reserved=RESERVED), None) is not None for value in values)
