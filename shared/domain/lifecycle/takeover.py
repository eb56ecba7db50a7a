"""Taking over the event of a runner that crashed, or that gave its claim back.

Source: docs/design.md sections 3.5, 3.6, 3.7 and 3.9.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from shared.domain.instance.event import Event, EventStatus, PausedFor
from shared.domain.instance.journal import ClosedBy, EventHistory
from shared.domain.instance.model import Instance, Lease
from shared.domain.instance.reason import Cause, ErrorKind, EventFailure, StopReason
from shared.domain.instance.replay import chain, position, unapplied
from shared.domain.instance.run import Intent
from shared.domain.instance.verdict import Applied, Change
from shared.domain.lifecycle.conclude import (
    apply_entry,
    apply_run_end,
    audit_directives,
    paused_by_engine,
    stop_event,
)
from shared.domain.planning.closing import close, complete_if_done
from shared.domain.steps.in_doubt import any_in_doubt, can_be_in_doubt
from shared.domain.strategy.model import Strategy

MAX_CRASHES = 5
"""How many runners may crash at one step before the run is no longer repeated."""

CRASH_WINDOW = timedelta(minutes=5)
"""How long after the end of a lease its takeover still counts a crash.

While the stores work, the sweeper causes the takeover within two minutes. A later one shows that they did not, and then
the runner may have stopped because it could not write. A runner tries to give its claim back for as long.
"""


def take_over(
    strategy: Strategy,
    instance: Instance,
    event: Event,
    event_history: EventHistory,
    *,
    current: Strategy,
    lease: Lease,
    now: datetime,
) -> tuple[Applied, Event | None]:
    """Return the verdict on the instance, and the event to claim, or None if it does not continue.

    The directives of the last step are applied first, since no other runner will do that. Directives and the end of a
    run belong to the instance, and so to its ``current`` version; ``strategy`` is that of the event.
    """
    record = event_history.record
    if record is not None and record.end is not None and record.fence == event.claim.fence:
        applied = apply_run_end(current, instance, event, record.end, now=now)
        others = tuple(other for other in applied.records if other.event.seq != event.seq)
        # The stored record stays: it holds the run's last step.
        return replace(applied, records=others), None
    event = _left_behind(strategy, event, event_history, lease=lease, now=now)
    change = Change(instance=instance)
    for entry in unapplied(event_history, event):
        change = change.then(apply_entry(current, change.instance, event, entry, now=now))
        event = change.instance.event(event.seq) or event
    handed_over = audit_directives(instance, change, now=now)
    if not change.instance.lets_run(event):
        change = change.then(stop_event(change.instance, event, now=now))
    elif event.progress.crashes >= MAX_CRASHES:
        change = change.then(_poisoned(change.instance, event, now=now))
    else:
        return replace(handed_over, instance=change.instance), event
    return replace(handed_over, instance=change.instance, records=change.records), None


def _left_behind(
    strategy: Strategy, event: Event, event_history: EventHistory, *, lease: Lease, now: datetime
) -> Event:
    """Return the event with the progress of its runner, one more crash if it crashed, and its calls in doubt."""
    event = event.after_visits(len(chain(event_history, event.run)))
    then = position(event_history, event)
    # A runner that gave the claim back knows whether it has called.
    sent = lease.given_back is None or (
        isinstance(then, Intent) and then.visit == lease.given_back.sent_visit
    )
    has_answer = isinstance(then, Intent) and event.has_answer_to(then.correlation_id)
    in_doubt = sent and not has_answer and may_have_called(strategy, event, event_history, now=now)
    progress = event.progress.with_doubt(lease.until) if in_doubt else event.progress
    # The call is repeated in any case, but only a POST or PATCH may have done twice what it should do once.
    marks = (
        progress.call_in_doubt and isinstance(then, Intent) and can_be_in_doubt(strategy, event, then.step)
    )
    event = event.with_doubt(marks or any_in_doubt(strategy, event, event_history.entries))
    crashes = progress.crashes + (1 if _counts_as_crash(lease, now=now) else 0)
    return replace(event, progress=replace(progress, crashes=crashes))


def _counts_as_crash(lease: Lease, *, now: datetime) -> bool:
    """Return whether the end of a lease shows a crash."""
    return lease.given_back is None and now < lease.until + CRASH_WINDOW


def _poisoned(instance: Instance, event: Event, *, now: datetime) -> Change:
    """Pause a main event with its instance. Any other event, or any event of a final instance, fails."""
    why = f"the runner crashed {MAX_CRASHES} times without progress"
    failure = EventFailure(message=why, error_class=ErrorKind.CRASH.value, at=now)
    event = replace(event, failure=failure, updated_at=now)
    if event.is_main and not instance.status.is_final:
        paused = instance.with_event(event.paused(PausedFor.POISONED))
        reason = StopReason(cause=Cause.POISONED)
        waiting = paused_by_engine(paused, event, f"{event.task}: {why}", reason, now=now)
        return Change(instance=waiting.at_rest(now=now))
    change = close(
        instance, event, EventStatus.FAILED, now=now, why=why, cause=ClosedBy.CRASHES, by_runner=True
    )
    return change.then(complete_if_done(change.instance, now=now))


def may_have_called(strategy: Strategy, event: Event, event_history: EventHistory, *, now: datetime) -> bool:
    """Return whether an earlier runner may have sent the call at which the run continues."""
    then = position(event_history, event)
    if not isinstance(then, Intent) or then.awaits:
        return False
    if then.not_before is not None and then.not_before > now and not event.progress.delay_skipped:
        return False
    return strategy.definition.tasks[event.task].steps[then.step].action is not None
