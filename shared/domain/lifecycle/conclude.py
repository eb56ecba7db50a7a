"""The effects of a run's end on its event, its instance and its plan.

Source: docs/design.md sections 3.5 and 3.6; section 5; docs/contracts/core.md section 3.6.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from shared.domain.instance.event import Event, EventStatus, PausedFor, RunProgress
from shared.domain.instance.journal import ClosedBy, JournalEntry
from shared.domain.instance.model import CancelReason, Instance, InstanceStatus, Stoppage
from shared.domain.instance.reason import Cause, EventFailure, StopReason
from shared.domain.instance.run import Ending, Failure, RunEnd
from shared.domain.instance.verdict import ENGINE, Actor, AlreadyThere, Applied, Change, Verdict, audited
from shared.domain.lifecycle.apply_directives import apply_directives
from shared.domain.lifecycle.commands import Apply, Conclude, Stop, Wait
from shared.domain.planning.closing import cancel_instance, close, close_all, complete_if_done
from shared.domain.planning.plan import MAIN_CLOSED, plan_next, unbegun_leading_ups
from shared.domain.steps.cursor import MAX_OUTPUTS_BYTES
from shared.domain.strategy.model import Json, Strategy, json_size


def conclude(strategy: Strategy, instance: Instance, command: Conclude, *, now: datetime) -> Verdict:
    """Apply the end of a run for the runner that holds the claim.

    If the event closed, its record is the first one. Return AlreadyThere if the fence has moved: the runner is too
    late and must write nothing.
    """
    event = instance.claimed_event(command.seq, command.fence)
    if event is None:
        return AlreadyThere(instance=instance)
    event = event.with_doubt(command.in_doubt)
    if command.correlation_in_doubt is not None and event.has_answer_to(command.correlation_in_doubt):
        return _no_doubt(instance, event, now=now)
    if command.end.how is Ending.IN_DOUBT:
        # The event pauses inside its run, so the next claim must know how many steps were done.
        event = replace(event, progress=replace(event.progress, known_visits=command.known_visits))
    verdict = apply_run_end(strategy, instance, event, command.end, now=now)
    own, *others = verdict.records or (None,)
    if own is None or own.event.seq != event.seq:
        return verdict
    return replace(verdict, records=(replace(own, last=command.last, end=command.end), *others))


def apply_run_end(
    strategy: Strategy, instance: Instance, event: Event, end: RunEnd, *, now: datetime
) -> Applied:
    """Return the instance after a run of an event has ended. If the event closed, its record is the first one."""
    before = event.progress
    # Doubt, resolution and delay belong to a step that the run has passed.
    progress = RunProgress(
        first_action=before.first_action, known_visits=before.known_visits, crashes=before.crashes
    )
    event = replace(event, attempt=end.attempt, resets=end.resets, progress=progress, updated_at=now)
    match end.how:
        case Ending.SUCCEEDED:
            change = _processed(strategy, instance, event, end.outputs, now=now)
        case Ending.RETRY:
            change = _retried(instance, event, _failure(end), now=now)
        case Ending.EXHAUSTED:
            change = _exhausted(strategy, instance, event, _failure(end), now=now)
        case Ending.IN_DOUBT:
            change = _in_doubt(instance, event, _failure(end), now=now)
        case _:
            assert_never(end.how)
    if change.instance.status is instance.status:
        return Applied(instance=change.instance, records=change.records)
    by = Actor(name=ENGINE.name, reason=change.instance.stop_note)
    return audited(instance, change, command=end.how.value.lower(), by=by, now=now)


def apply(strategy: Strategy, instance: Instance, command: Apply, *, now: datetime) -> Verdict:
    """Apply a controller's directives once. The event stores the journal entry that they came from."""
    event = instance.claimed_event(command.seq, command.fence)
    mark = (command.entry.run, command.entry.intent.visit)
    if event is None or event.applied >= mark:
        return AlreadyThere(instance=instance)
    change = apply_entry(strategy, instance, event, command.entry, now=now)
    return audit_directives(instance, change, now=now)


def apply_entry(
    strategy: Strategy, instance: Instance, event: Event, entry: JournalEntry, *, now: datetime
) -> Change:
    """Return the instance after the directives of one step, with the step recorded as ``applied``."""
    marked = replace(event, applied=(entry.run, entry.intent.visit), updated_at=now)
    ordered = entry.outcome.directives or {}
    return apply_directives(strategy, instance.with_event(marked), marked, ordered, now=now)


def audit_directives(before: Instance, change: Change, *, now: datetime) -> Applied:
    """Return a change made by directives. It is audited if it stops the instance."""
    if change.instance.status is before.status:
        return Applied(instance=change.instance, records=change.records)
    by = Actor(name="controller", reason=change.instance.stop_note)
    return audited(before, change, command="directives", by=by, now=now)


def stop(instance: Instance, command: Stop, *, now: datetime) -> Verdict:
    """Let a pause or a cancel take effect between two steps."""
    event = instance.claimed_event(command.seq, command.fence)
    if event is None or instance.lets_run(event):
        return AlreadyThere(instance=instance)
    visits = event.progress.known_visits + 1 if command.known_visits is None else command.known_visits
    change = stop_event(instance, event.after_visits(visits).with_doubt(command.in_doubt), now=now)
    return Applied(instance=change.instance, records=change.records)


def stop_event(instance: Instance, event: Event, *, now: datetime) -> Change:
    """Release the event of a stopped instance: paused with its progress kept, or canceled."""
    event = replace(event, in_doubt=event.in_doubt or event.progress.call_in_doubt, updated_at=now)
    if instance.status.is_final:
        return _stopped_with(instance, event, now=now)
    return Change(instance=instance.with_event(event.paused(PausedFor.OPERATOR)).at_rest(now=now))


def wait(instance: Instance, command: Wait, *, now: datetime) -> Verdict:
    """Release the event with its progress kept, until a step's delay ends or for a new invocation."""
    event = instance.claimed_event(command.seq, command.fence)
    if event is None:
        return AlreadyThere(instance=instance)
    event = event.after_visits(command.known_visits).with_doubt(command.in_doubt)
    if instance.status.is_final and not instance.lets_run(event):
        change = stop_event(instance, event, now=now)
        return Applied(instance=change.instance, records=change.records)
    if command.until is None:
        waiting = event.queued(now=now)
    else:
        waiting = event.waiting(EventStatus.PENDING, command.until, now=now)
    return Applied(instance=instance.with_event(waiting).at_rest(now=now))


def paused_by_engine(
    instance: Instance, event: Event, note: str, reason: StopReason, *, now: datetime
) -> Instance:
    """Return the instance PAUSED because of an event."""
    stop = Stoppage(at=now, by=ENGINE.name, reason=reason, note=note, for_event=event.seq)
    return instance.stopped(InstanceStatus.PAUSED, stop)


def _processed(
    strategy: Strategy, instance: Instance, event: Event, outputs: Mapping[str, Json], *, now: datetime
) -> Change:
    instance = replace(instance, outputs=_outputs(instance, outputs))
    change = _closed(instance, event, EventStatus.PROCESSED, now=now)
    if not event.is_main or instance.status.is_final:
        return change.then(complete_if_done(change.instance, now=now))
    change = change.then(_without_leading_ups(change.instance, now=now))
    return change.then(plan_next(strategy, change.instance, now=now).change)


def _outputs(instance: Instance, outputs: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return the instance's outputs merged with the event's, or only the event's if both together are too large."""
    both = {**instance.outputs, **outputs}
    return both if json_size(both) <= MAX_OUTPUTS_BYTES else outputs


def _retried(instance: Instance, event: Event, failed: Failure, *, now: datetime) -> Change:
    """Return the event PENDING for its next attempt, in a new run; the plan does not move."""
    if instance.status.is_final and not instance.lets_run(event):
        return _stopped_with(instance, event, now=now)
    at = failed.retry_at or now
    again = replace(
        event.waiting(EventStatus.PENDING, at, now=now),
        first_date=event.first_due_at,
        date=at,
        attempt=event.attempt + 1,
        run=event.run + 1,
        progress=RunProgress(),
        failure=_event_failure(failed, now=now),
    )
    return Change(instance=instance.with_event(again).at_rest(now=now))


def _exhausted(
    strategy: Strategy, instance: Instance, event: Event, failed: Failure, *, now: datetime
) -> Change:
    event = replace(event, failure=_event_failure(failed, now=now))
    if failed.pauses and not instance.status.is_final:
        return _paused(instance, event, PausedFor.EXHAUSTED, failed, Cause.EXHAUSTED, now=now)
    change = _closed(instance, event, EventStatus.FAILED, now=now, why=failed.error.message)
    if not event.is_main or instance.status.is_final:
        return change.then(complete_if_done(change.instance, now=now))
    # A recurring schedule continues after a failed run, instead of canceling the instance.
    if instance.plan.schedule is not None and instance.plan.schedule.goes_on:
        change = change.then(_without_leading_ups(change.instance, now=now))
        return change.then(plan_next(strategy, change.instance, now=now).change)
    by = Actor(name=ENGINE.name, reason=f"{event.task}: {failed.error.message}")
    canceled = cancel_instance(
        strategy,
        change.instance,
        CancelReason.MAX_ATTEMPTS,
        by=by,
        now=now,
        error_class=failed.error.error_class,
    )
    return change.then(canceled)


def _in_doubt(instance: Instance, event: Event, failed: Failure, *, now: datetime) -> Change:
    """Pause event and instance until an operator decides; on a final instance only the event."""
    event = replace(event, in_doubt=True, failure=_event_failure(failed, now=now))
    if instance.status.is_final and not instance.lets_run(event):
        return _stopped_with(instance, event, now=now)
    event = replace(event, progress=event.progress.with_doubt(now))
    if not instance.status.is_final:
        return _paused(instance, event, PausedFor.IN_DOUBT, failed, Cause.IN_DOUBT, now=now)
    return Change(instance=instance.with_event(event.paused(PausedFor.IN_DOUBT)).at_rest(now=now))


def _no_doubt(instance: Instance, event: Event, *, now: datetime) -> Applied:
    """Queue the event: the answer arrived while its runner was about to end the run with the call in doubt.

    If the instance was canceled since the claim, nothing would run it: it is canceled, too.
    """
    if instance.status.is_final and not instance.lets_run(event):
        change = stop_event(instance, event, now=now)
        return Applied(instance=change.instance, records=change.records)
    return Applied(instance=instance.with_event(event.queued(now=now)).at_rest(now=now))


def _paused(
    instance: Instance,
    event: Event,
    paused_for: PausedFor,
    failed: Failure,
    cause: Cause,
    *,
    now: datetime,
) -> Change:
    """Pause the event and, if it is ACTIVE, the instance."""
    waiting = instance.with_event(event.paused(paused_for))
    if instance.status is InstanceStatus.ACTIVE:
        note = f"{event.task}: {failed.error.message}"
        reason = StopReason(cause=cause, detail=failed.error.error_class)
        waiting = paused_by_engine(waiting, event, note, reason, now=now)
    return Change(instance=waiting.at_rest(now=now))


def _closed(
    instance: Instance,
    event: Event,
    status: EventStatus,
    *,
    now: datetime,
    why: str | None = None,
    cause: ClosedBy = ClosedBy.RUN,
) -> Change:
    """Close the event for its own runner."""
    return close(instance, event, status, now=now, why=why, cause=cause, by_runner=True)


def _stopped_with(instance: Instance, event: Event, *, now: datetime) -> Change:
    """Close the event because its instance has ended and does not allow it to run."""
    why = f"instance {instance.status.value}"
    return _closed(instance, event, EventStatus.CANCELED, now=now, why=why, cause=ClosedBy.INSTANCE)


def _without_leading_ups(instance: Instance, *, now: datetime) -> Change:
    doomed = unbegun_leading_ups(instance)
    return close_all(instance, doomed, now=now, why=MAIN_CLOSED, cause=ClosedBy.MAIN_EVENT)


def _event_failure(failed: Failure, *, now: datetime) -> EventFailure:
    error = failed.error
    return EventFailure(message=error.message, error_class=error.error_class, at=now, step=failed.step)


def _failure(end: RunEnd) -> Failure:
    if end.failure is None:
        raise ValueError(f"a run that ended {end.how} must have a failure")
    return end.failure
