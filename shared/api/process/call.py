"""One request of the process dialect, as an operation sees it.

Source: contracts/process.md C.1 and C.4; design section 9.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from shared.api.http.auth import Principal, basic_principal_of
from shared.api.http.models import MAX_BODY_BYTES, MAX_KEY_CHARACTERS
from shared.api.http.strict_json import canonical, strict_json
from shared.api.process.errors import (
    FORBIDDEN,
    NO_SUCH_PROCESS,
    TOO_LARGE,
    UNAUTHORIZED,
    invalid,
    unknown_name,
)
from shared.application.ports import Ports, SecretHasher
from shared.application.start import Repeatable
from shared.domain.access import Role
from shared.domain.errors import Problem
from shared.domain.ids import InstanceSid
from shared.domain.instance.model import Instance
from shared.domain.strategy.model import StrategyHead
from shared.domain.strategy.parse_limits import unreadable

Answer = tuple[HTTPStatus, Any]
"""A status and a JSON value."""

_SPID = re.compile(r"[0-9A-Za-z-]{1,64}")
_NAME = re.compile(r"(?:(?P<folder>/|/[A-Za-z0-9._/-]*/))?(?P<name>[A-Za-z0-9._-]{1,100})")
"""What there can be; anything else is not looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request of somebody who has shown a key with the role that the operation asks for.

    usual_zone: in which dates are read where neither the request nor the strategy names one.
    key: its ``Idempotency-Key``, where it has one.
    """

    ports: Ports
    hasher: SecretHasher
    principal: Principal
    text: bytes
    usual_zone: str
    key: str | None = None

    @property
    def repeatable(self) -> Repeatable | None:
        """Under which key it may be sent again: else 400. The key is an addition of ours to the contract."""
        if self.key is None:
            return None
        if not 1 <= len(self.key) <= MAX_KEY_CHARACTERS:
            message = f"takes 1 to {MAX_KEY_CHARACTERS} characters"
            raise invalid([Problem(pointer="/Idempotency-Key", rule="header", message=message)])
        return Repeatable(key=self.key, body_hash=self.hasher.hash(canonical(self.body())))

    def body(self) -> dict[str, Any]:
        """The request's body, an object: else 400 or 413. Of two ``values`` of a name the last one counts."""
        if len(self.text) > MAX_BODY_BYTES:
            raise TOO_LARGE
        value = strict_json(self.text, last_wins="values")
        problems = unreadable(value, "")
        if not isinstance(value, dict):
            problems = [Problem(pointer="", rule="json", message="must be a JSON object")]
        if problems:
            raise invalid(problems)
        return dict(value)

    def strategy(self, name: str) -> StrategyHead:
        """The strategy of the caller's account that a process is named after, with its folder or without: else 404.

        Whoever has a key of the account may name it; there is no Strategy-Secret in this dialect.
        """
        found = _NAME.fullmatch(name)
        head = found and self.ports.strategies.named(self.principal.account_id, found["name"])
        if not found or head is None or head.deleted_at is not None:
            raise unknown_name(name)
        if found["folder"] is not None and found["folder"] != _with_slash(head.folder):
            raise unknown_name(name)
        return head

    def instance(self, robusta_spid: str) -> Instance:
        """An instance of the caller's account, whichever dialect it was made in: else 404."""
        sid = InstanceSid(robusta_spid)
        instance = self.ports.instances.load(sid) if _SPID.fullmatch(robusta_spid) else None
        if instance is None or instance.account_id != self.principal.account_id:
            raise NO_SUCH_PROCESS
        return instance


def principal_for(role: Role, authorization: str | None, ports: Ports, hasher: SecretHasher) -> Principal:
    """Whoever calls, who must have at least this role: else 401 or 403."""
    principal = basic_principal_of(authorization, ports.access, hasher)
    if principal is None:
        raise UNAUTHORIZED
    if not principal.role.includes(role):
        raise FORBIDDEN
    return principal


def _with_slash(folder: str) -> str:
    return folder if folder.endswith("/") else f"{folder}/"
