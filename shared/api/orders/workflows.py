"""Workflows are strategies: ``<folder>/<name>``.

Source: docs/contracts/mapping.md D.1 and D.5; docs/contracts/orders.md B.6.
"""

from msgspec import Struct, field

from shared.application.ports import Ports, UnknownStrategyError
from shared.domain.ids import AccountId, StrategySid
from shared.domain.strategy.model import StrategyHead

MAX_NAME_CHARACTERS = 100
"""The maximum length of a strategy's name."""


def path_of(head: StrategyHead) -> str:
    """Return the path of a workflow."""
    return f"{head.folder.rstrip('/')}/{head.name}"


def workflow_at(ports: Ports, account: AccountId, path: str) -> StrategyHead | None:
    """Return the workflow at a path or with a bare name, or None if there is none."""
    folder, slash, name = path.rpartition("/")
    head = ports.strategies.named(account, name) if 0 < len(name) <= MAX_NAME_CHARACTERS else None
    if head is None or (slash and head.folder != (folder or "/")):
        return None
    return head


class Paths(Struct, frozen=True, kw_only=True):
    """The paths of workflows. Each is looked up once."""

    ports: Ports
    known: dict[StrategySid, StrategyHead] = field(default_factory=dict)

    def head(self, sid: StrategySid) -> StrategyHead:
        """Return the head of a strategy, even if deleted. Raises: UnknownStrategyError."""
        if sid not in self.known:
            head = self.ports.strategies.head(sid)
            if head is None:
                # Heads are never removed, so the store is inconsistent: answer 500.
                raise UnknownStrategyError(sid)
            self.known[sid] = head
        return self.known[sid]

    def path(self, sid: StrategySid) -> str:
        """Return the path of a strategy's workflow."""
        return path_of(self.head(sid))


def version_number(text: str | None) -> int | None:
    """Return the version of a ``versionId``, or None for None. A text that is no number is 0, which no strategy has."""
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0  # noqa: PLR2004 - digits
