"""Workflows are strategies: ``<folder>/<name>``. Source: contracts/mapping.md D.1 and D.5; contracts/orders.md B.6."""

from dataclasses import dataclass, field

from shared.application.ports import Ports, UnknownStrategyError
from shared.domain.ids import AccountId, StrategySid
from shared.domain.strategy.model import StrategyHead

MAX_NAME_CHARACTERS = 100
"""No strategy has a longer name."""


def path_of(head: StrategyHead) -> str:
    """The path of a workflow."""
    return f"{head.folder.rstrip('/')}/{head.name}"


def workflow_at(ports: Ports, account: AccountId, path: str) -> StrategyHead | None:
    """The workflow at a path, or of a bare name; None where there is none."""
    folder, slash, name = path.rpartition("/")
    head = ports.strategies.named(account, name) if 0 < len(name) <= MAX_NAME_CHARACTERS else None
    if head is None or (slash and head.folder != (folder or "/")):
        return None
    return head


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The paths of workflows, each looked up once."""

    ports: Ports
    known: dict[StrategySid, StrategyHead] = field(default_factory=dict)

    def head(self, sid: StrategySid) -> StrategyHead:
        """What holds for a strategy; a deleted one is known too. Raises: UnknownStrategyError: our books are wrong."""
        if sid not in self.known:
            head = self.ports.strategies.head(sid)
            if head is None:
                raise UnknownStrategyError(sid)
            self.known[sid] = head
        return self.known[sid]

    def path(self, sid: StrategySid) -> str:
        """The path of the workflow that a strategy is."""
        return path_of(self.head(sid))


def version_number(text: str | None) -> int | None:
    """The version a ``versionId`` names; 0, which no strategy has, for a text that is no number; None for none."""
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0  # noqa: PLR2004 - digits
