"""The two flags that block due events of an instance: that of its account's queue and that of its strategy."""

from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from shared.domain.instance.due import GRACE
from shared.domain.instance.model import BlockedBy, Instance
from shared.domain.strategy.flag import Flag, FlagPause
from shared.domain.strategy.model import Strategy


class Flags(Struct, frozen=True, kw_only=True):
    """The flags for the instances of a strategy, as they were read together."""

    queue: Flag = field(default_factory=Flag)
    strategy: Flag = field(default_factory=Flag)

    @property
    def blocked_by(self) -> BlockedBy | None:
        """Return which flag blocks due events, or None. The queue goes before the strategy."""
        if self.queue.is_paused:
            return BlockedBy.QUEUE
        return BlockedBy.STRATEGY if self.strategy.is_paused else None

    @property
    def pauses(self) -> tuple[FlagPause, ...]:
        """Return the last pauses of both."""
        return (*self.queue.pauses, *self.strategy.pauses)


def with_pauses(strategy: Strategy, flags: Flags) -> Strategy:
    """Return the strategy with the last pauses of its flags."""
    return replace(strategy, flag_pauses=flags.pauses) if flags.pauses else strategy


def may_have_missed(instance: Instance, *, now: datetime) -> bool:
    """Return whether dates of the plan may have passed without a run: its last cycle was due a while ago."""
    due = instance.plan.due
    return due is not None and not instance.plan.has_ended and now - due > GRACE
