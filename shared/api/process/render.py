"""What the process dialect answers: every phase of an instance in its few words.

Source: contracts/process.md C.3 and C.7; contracts/mapping.md D.3, whose rows the two tables are.
"""

from collections.abc import Mapping
from typing import cast

from shared.api.process.answers import OUTPUT, SAVED, Seen, StartedShape, Status, StatusShape
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance
from shared.domain.instance.phase import Phase

ENDED = "Your transaction has ended."
FAILED = "Your transaction has failed."
NO_EXECUTION = "No execution in the scheduled window."


SEEN: Mapping[Phase, Seen | None] = {
    Phase.UNDATED: None,
    Phase.AHEAD: None,
    Phase.OVERDUE: None,
    Phase.RUNNING: Seen.RUNNING,
    Phase.BETWEEN_STEPS: Seen.RUNNING,
    Phase.RETRYING: Seen.RUNNING,
    Phase.DELAYED: Seen.RUNNING,
    Phase.AWAITING_ANSWER: Seen.RUNNING,
    Phase.ON_HOLD: None,
    Phase.PAUSED: Seen.WAITING,
    Phase.STUCK: Seen.FAILED,
    Phase.CANCELED: Seen.FAILED,
    Phase.FAULTED: Seen.FAILED,
    Phase.COMPLETED: None,
}
"""None: what its last finished run came to; WAITING where it has never run."""

TOLD: Mapping[Phase, str] = {
    Phase.UNDATED: "Your transaction waits for somebody to run it.",
    Phase.AHEAD: "Your transaction waits for its time.",
    Phase.OVERDUE: "Your transaction is about to start.",
    Phase.RUNNING: "Your transaction is running.",
    Phase.BETWEEN_STEPS: "Your transaction is running.",
    Phase.RETRYING: "Your transaction has failed and will be tried again.",
    Phase.DELAYED: "Your transaction is running; it waits until its next step is due.",
    Phase.AWAITING_ANSWER: "Your transaction is running; it waits for an answer.",
    Phase.ON_HOLD: "Your transaction waits for somebody to run it.",
    Phase.PAUSED: "Process suspended",
    Phase.STUCK: FAILED,
    Phase.CANCELED: "Process cancelled",
    Phase.FAULTED: FAILED,
    Phase.COMPLETED: NO_EXECUTION,
}
"""What is said of each, unless the last run's outcome is told."""


def started_shape(instance: Instance) -> StartedShape:
    """The answer to a start."""
    return {"robustaSpid": instance.sid, "message": SAVED}


def status_shape(instance: Instance, phase: Phase, last: EventRecord | None) -> StatusShape:
    """Where a process stands. last: its last finished run; looked at only where the phase leaves it to that."""
    seen = SEEN[phase]
    if seen is not None:
        why = instance.stop_note if TOLD[phase] == FAILED else None
        return {"status": seen, "message": _with(TOLD[phase], why)}
    if last is None:
        is_over = phase is Phase.UNDATED and instance.plan.has_ended
        return {"status": Seen.WAITING, "message": NO_EXECUTION if is_over else TOLD[phase]}
    if last.event.status is EventStatus.FAILED:
        return {"status": Seen.FAILED, "message": _with(FAILED, last.why)}
    outputs = {} if last.end is None else last.end.outputs
    status = Status(status=Seen.SUCCEEDED, message=ENDED)
    return cast(StatusShape, status | {f"{OUTPUT}{name}": value for name, value in outputs.items()})


def _with(told: str, why: str | None) -> str:
    """A sentence with its reason, where there is one."""
    return told if why is None else f"{told.removesuffix('.')}: {why}"
