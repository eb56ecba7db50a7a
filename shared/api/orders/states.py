"""The states of orders, and the commands that are possible in each.

Source: docs/contracts/mapping.md D.3; docs/contracts/orders.md B.2 and B.4.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from shared.domain.instance.phase import WAITING_PHASES, Phase, Waiting


class State(StrEnum):
    """The states that a client may filter by. No order has PLANNED, BROKEN or UNKNOWN."""

    PENDING = "PENDING"
    SCHEDULED = "SCHEDULED"
    INPROGRESS = "INPROGRESS"
    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"
    WAITING = "WAITING"
    PROMPTING = "PROMPTING"
    FAILED = "FAILED"
    BLOCKED = "BLOCKED"
    CANCELLED = "CANCELLED"
    FINISHED = "FINISHED"
    PLANNED = "PLANNED"
    BROKEN = "BROKEN"
    UNKNOWN = "UNKNOWN"


SEVERITY: Mapping[State, int] = {
    State.RUNNING: 0,
    State.SCHEDULED: 1,
    State.FAILED: 2,
    State.CANCELLED: 2,
    State.BROKEN: 2,
    State.UNKNOWN: 2,
    State.INPROGRESS: 3,
    State.PLANNED: 4,
    State.SUSPENDED: 5,
    State.FINISHED: 6,
    State.BLOCKED: 7,
    State.WAITING: 8,
    State.PENDING: 10,
    State.PROMPTING: 12,
}


WaitReason = Literal["DELAYING_RETRY", "SLEEPING", "EXPECTING_NOTICES"]
Mark = Literal["CANCELLING", "SUSPENDING"]
MarkSeverity = Literal[2, 5]


class Shown(Struct, frozen=True, kw_only=True):
    """The state of a phase. ``reason`` is why an order waits, ``mark`` the mark of an order in flight."""

    text: State
    reason: WaitReason | None = None
    mark: tuple[Mark, MarkSeverity] | None = None


_CANCELLING: tuple[Mark, MarkSeverity] = ("CANCELLING", 2)
_SUSPENDING: tuple[Mark, MarkSeverity] = ("SUSPENDING", 5)

SHOWN: Mapping[Phase, Shown] = {
    Phase.UNDATED: Shown(text=State.PENDING),
    Phase.AHEAD: Shown(text=State.SCHEDULED),
    Phase.OVERDUE: Shown(text=State.BLOCKED),
    Phase.RUNNING: Shown(text=State.RUNNING),
    Phase.BETWEEN_STEPS: Shown(text=State.INPROGRESS),
    Phase.RETRYING: Shown(text=State.WAITING, reason="DELAYING_RETRY"),
    Phase.DELAYED: Shown(text=State.WAITING, reason="SLEEPING"),
    Phase.AWAITING_ANSWER: Shown(text=State.WAITING, reason="EXPECTING_NOTICES"),
    Phase.ONHOLD: Shown(text=State.PROMPTING),
    Phase.PAUSED: Shown(text=State.SUSPENDED, mark=_SUSPENDING),
    Phase.STUCK: Shown(text=State.FAILED, mark=_SUSPENDING),
    Phase.CANCELED: Shown(text=State.CANCELLED, mark=_CANCELLING),
    Phase.FAULTED: Shown(text=State.CANCELLED, mark=_CANCELLING),
    Phase.COMPLETED: Shown(text=State.FINISHED),
}
"""The state of each phase."""

SUSPENDIBLE = tuple(
    phase for phase in Phase if not phase.is_over and phase not in (Phase.PAUSED, Phase.STUCK)
)
RESUMABLE = (Phase.PAUSED, Phase.STUCK)
"""Only if no step is in flight: an order with a mark cannot be resumed."""
CONTINUABLE = WAITING_PHASES[Waiting.FOR_DATE]
CONFIRMABLE = WAITING_PHASES[Waiting.FOR_OPERATOR]
LIVE = tuple(phase for phase in Phase if not phase.is_over)
"""The phases of the controller's orders. Terminated orders have left the controller."""


def phases_of(states: list[State]) -> tuple[Phase, ...]:
    """Return the phases that have any of these states. Some states have no phase."""
    return tuple(phase for phase, shown in SHOWN.items() if shown.text in states)
