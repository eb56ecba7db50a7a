"""The limit of a service that an event waits for."""

from datetime import datetime

from shared.domain.instance.event import EventStatus
from shared.domain.instance.run import Intent
from shared.domain.limits.service import OriginLimit, limit_of
from shared.domain.steps.history import PastEvent
from shared.domain.strategy.model import Strategy


def next_call(past: PastEvent, now: datetime) -> Intent | None:
    """Return the call that an event waits for inside its run, although no delay or refusal keeps it from being made.

    Return None if the event does not wait, or not for that. Only the limit of a service makes a run wait otherwise.
    """
    event = past.event
    if past.record is not None or event.status is not EventStatus.PENDING or event.due_at <= now:
        return None
    entries = [step.entry for step in past.steps if step.entry is not None and step.run == event.run]
    then = entries[-1].then if entries else event.progress.first_action
    if not isinstance(then, Intent) or then.not_before == event.due_at:
        return None
    return then


def limit_of_call(strategy: Strategy, past: PastEvent, call: Intent) -> OriginLimit | None:
    """Return the limit that the call waits for, or None if its service has none.

    ``strategy`` is the event's version.
    """
    return limit_of(strategy, strategy.definition.tasks[past.event.task].steps[call.step])
