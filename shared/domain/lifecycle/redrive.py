"""Running a failed event again with the results of its successful steps.

Source: docs/contracts/core.md section 5 (``retry``); docs/decisions/0020.
"""

from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from shared.domain.errors import Problem
from shared.domain.instance.event import Event, EventStatus, PausedFor, RedrivenFrom
from shared.domain.instance.journal import EventHistory, EventRecord
from shared.domain.instance.model import Instance
from shared.domain.instance.replay import reached_steps
from shared.domain.instance.verdict import (
    AlreadyThere,
    Applied,
    Change,
    RefusalRule,
    Refused,
    Verdict,
    audited,
)
from shared.domain.lifecycle.commands import Redrive
from shared.domain.lifecycle.pause_resume_cancel import (
    activate,
    apply_resume,
    queued,
    restart_paused_events,
    with_audited_event,
    with_new_run,
)
from shared.domain.steps.directives import has_room
from shared.domain.steps.history import with_last_step
from shared.domain.strategy.model import Strategy


def redrive(strategy: Strategy, instance: Instance, command: Redrive, *, now: datetime) -> Verdict:
    """Queue another run of an event that has closed FAILED, or that is open and waits after a failure."""
    event, record = instance.event(command.seq), command.event_history.record
    if event is not None:
        return _open(strategy, instance, event, command, now=now)
    if record is not None:
        return _closed(instance, record, command, now=now)
    return Refused(instance=instance, why="there is no such event", rule=RefusalRule.UNKNOWN)


def _open(
    strategy: Strategy, instance: Instance, event: Event, command: Redrive, *, now: datetime
) -> Verdict:
    match event.status:
        case EventStatus.QUEUED | EventStatus.EXECUTING:
            step = command.from_step
            if step is None or RedrivenFrom(step=step, run=event.run) in event.reuse.redriven_from:
                return AlreadyThere(instance=instance)
            return Refused(
                instance=instance, why="the event is already queued or running", rule=RefusalRule.STATE
            )
        case EventStatus.PENDING if event.has_begun and event.progress.first_action is None:
            refused = _cannot_begin(instance, event, command.event_history, command, last_run=event.run - 1)
            return refused or _queued(instance, _from(event, command), command, now=now)
        case EventStatus.PAUSED if event.paused_for is not None:
            return _paused(strategy, instance, event, event.paused_for, command, now=now)
        case _:
            return Refused(instance=instance, why="the event has not failed", rule=RefusalRule.STATE)


def _paused(
    strategy: Strategy,
    instance: Instance,
    event: Event,
    paused_for: PausedFor,
    command: Redrive,
    *,
    now: datetime,
) -> Verdict:
    match paused_for:
        case PausedFor.EXHAUSTED:
            refused = _cannot_begin(instance, event, command.event_history, command, last_run=event.run)
            again = _from(with_new_run(event), command)
        case PausedFor.POISONED:
            refused, again = _cut_off(instance, command), event
        case PausedFor.OPERATOR:
            return Refused(
                instance=instance,
                why="the event continues when its instance is resumed",
                rule=RefusalRule.STATE,
            )
        case PausedFor.ANSWER:
            return Refused(
                instance=instance,
                why="the event is waiting for the answer to its call",
                rule=RefusalRule.STATE,
            )
        case PausedFor.IN_DOUBT:
            return Refused(
                instance=instance,
                why="the event has a call in doubt: resolve it first",
                rule=RefusalRule.STATE,
            )
        case _:
            assert_never(paused_for)
    if refused is not None:
        return refused
    if not instance.is_paused_for(event):
        return _queued(instance, again, command, now=now)
    after = instance.with_event(queued(again, now=now))
    active = restart_paused_events(activate(after, now=now), now=now)
    resumed = apply_resume(strategy, instance, active, None, _name(command), by=command.by, now=now)
    return with_audited_event(resumed, instance.event_sid(event))


def _closed(instance: Instance, record: EventRecord, command: Redrive, *, now: datetime) -> Verdict:
    """Reopen a closed event under its number. Its record is deleted in the same write.

    On a final instance the event runs alone; no cycle follows.
    """
    event = record.event
    if event.status is not EventStatus.FAILED:
        return Refused(instance=instance, why=f"the event is {event.status.value}", rule=RefusalRule.FINISHED)
    if event.is_main and not instance.status.is_final:
        return Refused(
            instance=instance, why="the plan has continued without the event", rule=RefusalRule.STATE
        )
    if not has_room(instance):
        return Refused(
            instance=instance, why="the instance has too many unfinished events", rule=RefusalRule.ROOM
        )
    # A record without an end was written after repeated crashes, inside the run.
    if record.end is None:
        refused, again = _cut_off(instance, command), event
    else:
        event_history = with_last_step(command.event_history, record)
        refused = _cannot_begin(instance, event, event_history, command, last_run=event.run)
        again = _from(with_new_run(event), command)
    if refused is not None:
        return refused
    again = replace(
        again,
        in_doubt=event.in_doubt or record.in_doubt,
        after_cancellation=event.after_cancellation or instance.status.is_final,
    )
    events = tuple(sorted((*instance.events, again), key=lambda each: each.seq))
    failed_events = tuple(failed for failed in instance.failed_events if failed.seq != event.seq)
    open_again = replace(instance, events=events, failed_events=failed_events)
    return replace(_queued(open_again, again, command, now=now), reopened=record)


def _queued(instance: Instance, event: Event, command: Redrive, *, now: datetime) -> Applied:
    after = replace(instance.with_event(queued(event, now=now)), updated_at=now)
    change = Change(instance=after)
    return audited(instance, change, command=_name(command), by=command.by, now=now, event=event)


def _from(event: Event, command: Redrive) -> Event:
    """Return the event with the step recorded from which its next run executes again."""
    step = command.from_step
    if step is None:
        return event
    others = tuple(earlier for earlier in event.reuse.redriven_from if earlier.step != step)
    redriven_from = (*others, RedrivenFrom(step=step, run=event.run))
    return replace(event, reuse=replace(event.reuse, redriven_from=redriven_from))


def _cannot_begin(
    instance: Instance, event: Event, event_history: EventHistory, command: Redrive, *, last_run: int
) -> Refused | None:
    """Return the refusal if the task has no such step, or if the last run did not reach it; else None."""
    step = command.from_step
    if step is None:
        return None
    if step not in command.steps:
        problem = Problem(
            pointer="/fromStep", rule="reference", message=f"task {event.task!r} has no step {step!r}"
        )
        why = "the request is not valid"
        return Refused(instance=instance, why=why, rule=RefusalRule.INPUT, problems=(problem,))
    if step not in reached_steps(event_history, event, last_run):
        return Refused(
            instance=instance,
            why=f"the last run of the event did not reach step {step!r}",
            rule=RefusalRule.STATE,
        )
    return None


def _cut_off(instance: Instance, command: Redrive) -> Refused | None:
    """Refuse ``from_step`` for a run that was interrupted by crashes.

    Such a run continues from its step, because its call may be in doubt and is decided there first.
    """
    if command.from_step is None:
        return None
    return Refused(
        instance=instance,
        why="the run was interrupted by crashes and continues: retry it without fromStep",
        rule=RefusalRule.STATE,
    )


def _name(command: Redrive) -> str:
    """Return the command's name in the audit trail."""
    return "retry" if command.from_step is None else f"retry from {command.from_step}"
