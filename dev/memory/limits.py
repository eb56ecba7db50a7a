"""The limits of services in memory.

Source: shared/application/ports.py; tests/contract.
"""

from dataclasses import dataclass, field

from shared.application.ports import LimitAttempt
from shared.domain.ids import AccountId
from shared.domain.limits.state import LimitChange, LimitState


@dataclass(slots=True)
class MemoryLimits:
    """A ``LimitStore``. Nothing expires in it."""

    states: dict[tuple[AccountId, str], LimitState] = field(default_factory=dict)

    def load(self, account: AccountId, origin: str) -> LimitState:
        return self.states.get((account, origin), LimitState())

    def change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt:
        before = self.states.get((account, origin), LimitState())
        after = change.applied_to(before)
        if after is not None:
            self.states[account, origin] = after
        return LimitAttempt(is_stored=after is not None, before=before)

    def try_change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt | None:
        return self.change(account, origin, change)
