"""The answers of the process dialect: the status and message of each phase of an instance.

Source: docs/contracts/process.md C.3 and C.7; docs/contracts/mapping.md D.3, whose rows are the two tables.
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
UNREADABLE = "Your transaction has ended; its outcome cannot be read."
NO_OUTCOME = "Your transaction has ended; no outcome of it is kept."


SEEN: Mapping[Phase, Seen | None] = {
    Phase.UNDATED: None,
    Phase.AHEAD: None,
    Phase.OVERDUE: None,
    Phase.RUNNING: Seen.RUNNING,
    Phase.BETWEEN_STEPS: Seen.RUNNING,
    Phase.RETRYING: Seen.RUNNING,
    Phase.DELAYED: Seen.RUNNING,
    Phase.AWAITING_ANSWER: Seen.RUNNING,
    Phase.ONHOLD: None,
    Phase.PAUSED: Seen.WAITING,
    Phase.STUCK: Seen.FAILED,
    Phase.CANCELED: Seen.FAILED,
    Phase.FAULTED: Seen.FAILED,
    Phase.COMPLETED: None,
}
"""The status of each phase. None means the outcome of the last finished run, or WAITING if there is none."""

MESSAGES: Mapping[Phase, str] = {
    Phase.UNDATED: "Your transaction waits for an operator to run it.",
    Phase.AHEAD: "Your transaction waits for its time.",
    Phase.OVERDUE: "Your transaction is about to start.",
    Phase.RUNNING: "Your transaction is running.",
    Phase.BETWEEN_STEPS: "Your transaction is running.",
    Phase.RETRYING: "Your transaction has failed and will be retried.",
    Phase.DELAYED: "Your transaction is running; it waits until its next step is due.",
    Phase.AWAITING_ANSWER: "Your transaction is running; it waits for an answer.",
    Phase.ONHOLD: "Your transaction waits for an operator to run it.",
    Phase.PAUSED: "Process suspended",
    Phase.STUCK: FAILED,
    Phase.CANCELED: "Process cancelled",
    Phase.FAULTED: FAILED,
    Phase.COMPLETED: NO_EXECUTION,
}
"""The message of each phase, unless the outcome of the last run is the answer."""


def started_shape(instance: Instance) -> StartedShape:
    """Return the answer to a start."""
    return {"robustaSpid": instance.sid, "message": SAVED}


def status_shape(instance: Instance, phase: Phase, last: EventRecord | None) -> StatusShape:
    """Return the status of a process. ``last`` is its last finished run, needed if ``SEEN`` of the phase is None."""
    seen = SEEN[phase]
    if seen is not None:
        why = instance.stop_note if MESSAGES[phase] == FAILED else None
        return {"status": seen, "message": _with(MESSAGES[phase], why)}
    if last is None:
        if not _is_over(instance, phase):
            return {"status": Seen.WAITING, "message": MESSAGES[phase]}
        # The records of what has run have expired, or an operator canceled it.
        return {"status": Seen.WAITING, "message": NO_OUTCOME if instance.has_run else NO_EXECUTION}
    if last.event.status is EventStatus.FAILED:
        return {"status": Seen.FAILED, "message": _with(FAILED, last.why)}
    outputs = {} if last.end is None else last.end.outputs
    status = Status(status=Seen.SUCCEEDED, message=ENDED)
    return cast(StatusShape, status | {f"{OUTPUT}{name}": value for name, value in outputs.items()})


def unreadable_shape(instance: Instance, phase: Phase) -> StatusShape:
    """Return the status of a process if the record of what may be its last run cannot be read."""
    # Neither success nor failure may be claimed.
    return {"status": Seen.WAITING, "message": UNREADABLE if _is_over(instance, phase) else MESSAGES[phase]}


def _is_over(instance: Instance, phase: Phase) -> bool:
    return phase is Phase.COMPLETED or (phase is Phase.UNDATED and instance.plan.has_ended)


def _with(message: str, why: str | None) -> str:
    """Return a message with its reason, if there is one."""
    return message if why is None else f"{message.removesuffix('.')}: {why}"
