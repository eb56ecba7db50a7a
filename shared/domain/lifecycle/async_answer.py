"""Asynchronous calls: waiting for the answer to a correlation id, and taking it once.

A call waits for its answer until the answer is taken, or until its runner commits ``ForgoAnswer``. Both are writes of
the instance, so the first write decides and the second one sees it.
Source: docs/contracts/core.md section 3.7; docs/design.md sections 3.7 and 3.11.
"""

from datetime import datetime, timedelta
from enum import Enum, auto
from typing import assert_never

from msgspec.structs import replace

from shared.domain.ids import CorrelationId
from shared.domain.instance.due import AnswerOverdue, next_action
from shared.domain.instance.event import AnswerMark, Event, EventPause, EventStatus, PausedFor
from shared.domain.instance.journal import EventHistory, JournalEntry
from shared.domain.instance.model import Instance
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.replay import position, valid_history
from shared.domain.instance.run import Ending, Intent, Path, RunEnd, Then
from shared.domain.instance.verdict import (
    AlreadyThere,
    Applied,
    Change,
    RefusalRule,
    Refused,
    Verdict,
    audited,
)
from shared.domain.lifecycle.commands import AwaitAnswer, ForgoAnswer, TakeAnswer
from shared.domain.lifecycle.conclude import stop_event
from shared.domain.lifecycle.pause_resume_cancel import apply_decision, queued
from shared.domain.strategy.model import Strategy

EXPECTED_WITHIN = timedelta(days=7)
"""An answer without a time limit counts as overdue after this time."""


class AnswerState(Enum):
    """The state of a correlation id for an event."""

    AWAITED = auto()
    """An answer counts."""
    STALE = auto()
    """The call was answered, was recorded as unanswered, or waits for no answer."""
    UNKNOWN = auto()
    """The event sent no call under it."""


def answer_state(event: Event, event_history: EventHistory, correlation_id: CorrelationId) -> AnswerState:
    """Return whether an answer to a correlation id counts for an open event.

    It counts while the event is at the call or waits for its answer. If the attempt has failed without an answer, it
    also counts as long as another attempt may follow, because that attempt would send the call again under the same
    id.
    """
    event_history = valid_history(event_history, event)
    then = position(event_history, event)
    if isinstance(then, Intent) and then.correlation_id == correlation_id:
        is_known, is_awaited = True, then.answers_later
    else:
        sendings = [entry for entry in event_history.entries if entry.intent.correlation_id == correlation_id]
        is_known = bool(sendings)
        is_awaited = is_known and _may_be_sent_again(then) and _left_open(event_history, sendings[-1])
    if not is_known:
        return AnswerState.UNKNOWN
    is_awaited = is_awaited and not event.has_answer_to(correlation_id)
    return AnswerState.AWAITED if is_awaited else AnswerState.STALE


def take_answer(strategy: Strategy, instance: Instance, command: TakeAnswer, *, now: datetime) -> Verdict:
    """Take the answer: a waiting event continues, and a running one will find it.

    An event that waits for its next attempt starts it now. An event paused for a call in doubt is decided, as by
    ``resolve``. An event paused for another reason stays paused and continues from the answer when it is resumed.
    """
    event = instance.event(command.seq)
    if event is None:
        return Refused(instance=instance, why="the event is finished", rule=RefusalRule.FINISHED)
    answer = command.answer
    state = answer_state(event, command.event_history, answer.correlation_id)
    if state is AnswerState.UNKNOWN:
        return Refused(
            instance=instance,
            why="no call was sent with this correlation id",
            rule=RefusalRule.UNKNOWN,
        )
    if state is AnswerState.STALE:
        return Refused(
            instance=instance,
            why="the call with this correlation id no longer waits for an answer",
            rule=RefusalRule.STATE,
        )
    mark = AnswerMark(correlation_id=answer.correlation_id, key=answer.key)
    marked = replace(event, answered=mark, updated_at=now)
    if _goes_on(event):
        marked = queued(marked, now=now)
    after = replace(instance.with_event(marked), updated_at=now)
    if event.paused_for is PausedFor.IN_DOUBT:
        return apply_decision(strategy, instance, after, event, "answer", by=command.by, now=now)
    return audited(instance, Change(instance=after), command="answer", by=command.by, now=now, event=event)


def await_answer(instance: Instance, command: AwaitAnswer, *, now: datetime) -> Verdict:
    """Pause the event until its answer arrives or its time limit passes.

    Return AlreadyThere if the answer has arrived, or if the claim is no longer valid.
    """
    event = instance.claimed_event(command.seq, command.fence)
    if event is None or event.has_answer_to(command.intent.correlation_id):
        return AlreadyThere(instance=instance)
    event = event.after_visits(command.known_visits).with_doubt(command.in_doubt)
    if instance.status.is_final and not instance.lets_run(event):
        # Canceled while the call was being sent.
        stopped = stop_event(instance, event, now=now)
        return Applied(instance=stopped.instance, records=stopped.records)
    until = command.intent.answer_by
    expected_by = now + EXPECTED_WITHIN if until is None else None
    pause = EventPause(waits_for=PausedFor.ANSWER, answer_by=until, expected_by=expected_by)
    waiting = event.waiting(EventStatus.PAUSED, until or event.due_at, pause=pause, now=now)
    return Applied(instance=instance.with_event(waiting).at_rest(now=now))


def note_overdue(instance: Instance, *, now: datetime) -> Verdict:
    """Note which answers without a time limit are overdue. Their events wait on; only ``/problems`` shows more.

    Return AlreadyThere if there is none, or if an event is due: that one runs first.
    """
    if not isinstance(next_action(instance, now), AnswerOverdue):
        return AlreadyThere(instance=instance)
    return Applied(
        instance=replace(
            instance, events=tuple(_marked(event, now=now) for event in instance.events), updated_at=now
        )
    )


def _marked(event: Event, *, now: datetime) -> Event:
    pause = event.pause
    if pause is None or pause.expected_by is None or pause.expected_by > now:
        return event
    # ``updated_at`` stays: it is the instant from which the event waits.
    return replace(event, pause=replace(pause, is_overdue=True))


def forgo_answer(instance: Instance, command: ForgoAnswer, *, now: datetime) -> Verdict:
    """Record that the call is judged without an answer. Later answers to it are refused.

    Return AlreadyThere if the answer has arrived, or if the claim is no longer valid.
    """
    event = instance.claimed_event(command.seq, command.fence)
    if event is None or event.has_answer_to(command.correlation_id):
        return AlreadyThere(instance=instance)
    # Only ``rev`` matters: a command that takes an answer and was decided before this write must decide again.
    return Applied(instance=replace(instance.with_event(replace(event, updated_at=now)), updated_at=now))


def _goes_on(event: Event) -> bool:
    """Return whether an answer queues the event: it waits for the answer, for its next attempt, or for a decision."""
    waits_for_attempt = event.status is EventStatus.PENDING
    return waits_for_attempt or event.paused_for in (PausedFor.ANSWER, PausedFor.IN_DOUBT)


def _may_be_sent_again(then: Then | None) -> bool:
    """Return whether the event is between two attempts: its run ends or has ended, and another may follow."""
    match then:
        case None:
            return True
        case Intent(path=path):
            return path is not Path.MAIN
        case RunEnd(how=how, failure=failure):
            pauses = failure is not None and failure.pauses
            return how is Ending.RETRY or (how is Ending.EXHAUSTED and pauses)
        case _:
            assert_never(then)


def _left_open(event_history: EventHistory, sending: JournalEntry) -> bool:
    """Return whether it is the step's last stored entry, asynchronous, and without an answer."""
    step = sending.intent.step
    last = max(
        (entry for entry in event_history.entries if entry.intent.step == step),
        key=lambda entry: (entry.run, entry.intent.visit),
    )
    is_skipped = last.outcome.error is not None and last.outcome.error.kind is ErrorKind.SKIPPED
    return last is sending and last.intent.answers_later and last.outcome.in_doubt and not is_skipped
