"""Where an order stands, in the dialect's words, and what may be done to it there.

Source: contracts/mapping.md D.3; contracts/orders.md B.2 and B.4.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from shared.domain.instance.phase import WAITING_PHASES, Phase, Waiting


class State(StrEnum):
    """What a client may ask for; the last four are never an order's."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How a phase is told. reason: why an order waits. mark: what an order in flight is marked with."""

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
    Phase.ON_HOLD: Shown(text=State.PROMPTING),
    Phase.PAUSED: Shown(text=State.SUSPENDED, mark=_SUSPENDING),
    Phase.STUCK: Shown(text=State.FAILED, mark=_SUSPENDING),
    Phase.CANCELED: Shown(text=State.CANCELLED, mark=_CANCELLING),
    Phase.FAULTED: Shown(text=State.CANCELLED, mark=_CANCELLING),
    Phase.COMPLETED: Shown(text=State.FINISHED),
}
"""Every phase."""

SUSPENDIBLE = tuple(
    phase for phase in Phase if not phase.is_over and phase not in (Phase.PAUSED, Phase.STUCK)
)
RESUMABLE = (Phase.PAUSED, Phase.STUCK)
"""And nothing of it may be in flight: an order that is marked is not resumed."""
CONTINUABLE = WAITING_PHASES[Waiting.FOR_DATE]
CONFIRMABLE = WAITING_PHASES[Waiting.FOR_OPERATOR]
LIVE = tuple(phase for phase in Phase if not phase.is_over)
"""What is an order of the controller: a terminated one has left it."""


def phases_of(states: list[State]) -> tuple[Phase, ...]:
    """The phases that are told as any of these states; none for a state that never is."""
    return tuple(phase for phase, shown in SHOWN.items() if shown.text in states)
