"""Lives under the limit of a service, and stores of limits in the states that tests need."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dev.memory.limits import MemoryLimits
from dev.memory.world import ManualClock
from shared.application.ports import ConnectionLostError, LimitAttempt
from shared.domain.ids import AccountId
from shared.domain.instance.event import Event
from shared.domain.limits.state import LimitChange, LimitState, Member, micros_of
from tests.application.lives import START, Life, settings_with
from tests.domain.strategy.definitions import changed

ACCOUNT, ORIGIN = AccountId("a-1"), "https://billing.example.test"
NOW = micros_of(START)
SECOND = 1_000_000
MINUTE = 60 * SECOND
EVERY = 5_500
"""The spacing of 200 permits a second, in microseconds."""


def limited(of: Any = None, **limit: int) -> dict[str, Any]:
    """Return settings whose first service has a limit, of 200 calls a second if no other is given."""
    document = settings_with("/config", None) if of is None else of
    return changed("/services/0/limit", limit or {"perSecond": 200}, of=document)


def holding(**members: int) -> Callable[[ManualClock], MemoryLimits]:
    """Return a store with a state of the origin, under a limit of 200 that was just stated."""
    numbers = {"PER_SECOND": 200, "STATED_AT": NOW, **members}
    state = LimitState(values={Member[name]: number for name, number in numbers.items()})
    return lambda _: MemoryLimits(states={(ACCOUNT, ORIGIN): state})


def state_of(life: Life) -> LimitState:
    return life.ports.limits.load(ACCOUNT, ORIGIN)


def waits(life: Life) -> list[timedelta]:
    """Return how long after noon the calls were sent."""
    return [at - START for at, _ in life.shop.requests]


def first_event(life: Life) -> Event:
    found = life.instance.event(1)
    assert found is not None
    return found


def far_ahead() -> dict[str, int]:
    """Return the numbers of a state whose next permit is ten minutes ahead."""
    return {Member.NEXT_AT: NOW + 10 * MINUTE, Member.PER_SECOND: 200, Member.STATED_AT: NOW}


@dataclass
class Scripted(MemoryLimits):
    """A store with a script: it is slow, changes by itself, or refuses everything.

    ``takes`` is how long each request takes, the last one from then on. After as many changes as a key of
    ``after_changes`` says, or as many loads, the state is another one.
    """

    def __init__(
        self,
        clock: ManualClock,
        *,
        takes: list[float] | None = None,
        after_changes: dict[int, LimitState] | None = None,
        after_loads: dict[int, LimitState] | None = None,
        refuses: bool = False,
        fails: bool = False,
    ) -> None:
        super().__init__()
        self.clock, self.takes, self.refuses, self.fails = clock, takes or [0.0], refuses, fails
        self.after_changes, self.after_loads = after_changes or {}, after_loads or {}
        self.loads, self.changes = 0, 0

    def load(self, account: AccountId, origin: str) -> LimitState:
        self._pass()
        found = super().load(account, origin)
        self.loads += 1
        if self.loads in self.after_loads:
            self.states[ACCOUNT, ORIGIN] = self.after_loads[self.loads]
        return found

    def change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt:
        self._pass()
        self.changes += 1
        if self.refuses:
            return LimitAttempt(is_stored=False, before=super().load(account, origin))
        attempt = super().change(account, origin, change)
        if self.changes in self.after_changes:
            self.states[ACCOUNT, ORIGIN] = self.after_changes[self.changes]
        return attempt

    def _pass(self) -> None:
        if self.fails:
            raise ConnectionLostError("no answer")
        self.clock.sleep(self.takes.pop(0) if len(self.takes) > 1 else self.takes[0])
