"""Asynchronous calls: waiting for what is sent to a correlation id, and taking it, once.

A sending is awaited until it is answered, or until its runner has judged it without an answer and told the
instance so. Both are writes of the instance, so one of them is first; the other sees it and gives way.
Source: contracts/core.md section 3.7; design section 3, items 7 and 11.
"""

from dataclasses import replace
from datetime import datetime
from enum import Enum, auto
from typing import assert_never

from shared.domain.ids import CorrelationId
from shared.domain.instance.event import AnswerMark, Event, EventPause, EventStatus, PausedFor
from shared.domain.instance.journal import EventHistory, JournalEntry
from shared.domain.instance.model import Instance
from shared.domain.instance.replay import counted, position
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
from shared.domain.lifecycle.pause_resume_cancel import decided, queued
from shared.domain.strategy.model import Strategy


class AnswerState(Enum):
    """How a correlation id stands with an event."""

    AWAITED = auto()
    """An answer to it counts."""
    STALE = auto()
    """It was answered, or its sending was judged without an answer, or nobody waits for one."""
    UNKNOWN = auto()
    """No call of the event was sent under it."""


def answer_state(event: Event, event_history: EventHistory, correlation_id: CorrelationId) -> AnswerState:
    """Whether an answer to a correlation id counts for an open event.

    It does while the event stands at its sending or waits for its answer; and once its attempt has failed for want
    of one, as long as another may follow: that one would send it again under the same id.
    """
    event_history = counted(event_history, event)
    then = position(event_history, event)
    if isinstance(then, Intent) and then.correlation_id == correlation_id:
        known, awaited = True, then.answers_later
    else:
        sendings = [entry for entry in event_history.entries if entry.intent.correlation_id == correlation_id]
        known = bool(sendings)
        awaited = known and _may_be_sent_again(then) and _left_open(event_history, sendings[-1])
    if not known:
        return AnswerState.UNKNOWN
    return AnswerState.AWAITED if awaited and not event.has_answer_to(correlation_id) else AnswerState.STALE


def take_answer(strategy: Strategy, instance: Instance, command: TakeAnswer, *, now: datetime) -> Verdict:
    """The answer counts from now on: what waits for it goes on, what is in flight will find it.

    An event that waits for its next attempt makes it at once. One paused for a call in doubt is decided by it,
    as by ``resolve``. One paused for anything else stays so, and goes on from the answer when it is resumed.
    """
    event = instance.event(command.seq)
    if event is None:
        return Refused(instance=instance, why="the event is finished", rule=RefusalRule.FINISHED)
    answer = command.answer
    found = answer_state(event, command.event_history, answer.correlation_id)
    if found is AnswerState.UNKNOWN:
        return Refused(
            instance=instance, why="nothing was sent under this correlation id", rule=RefusalRule.UNKNOWN
        )
    if found is AnswerState.STALE:
        return Refused(
            instance=instance,
            why="no answer to this correlation id is awaited any more",
            rule=RefusalRule.STATE,
        )
    mark = AnswerMark(correlation_id=answer.correlation_id, key=answer.key)
    marked = replace(event, answered=mark, updated_at=now)
    if _goes_on(event):
        marked = queued(marked, now=now)
    after = replace(instance.with_event(marked), updated_at=now)
    if event.paused_for is PausedFor.IN_DOUBT:
        return decided(strategy, instance, after, event, "answer", by=command.by, now=now)
    return audited(instance, Change(instance=after), command="answer", by=command.by, now=now, event=event)


def await_answer(instance: Instance, command: AwaitAnswer, *, now: datetime) -> Verdict:
    """PAUSED until the answer comes, or until the time for it is over.

    AlreadyThere: the answer was faster, or the claim holds no longer.
    """
    event = instance.claimed_event(command.seq, command.fence)
    if event is None or event.has_answer_to(command.intent.correlation_id):
        return AlreadyThere(instance=instance)
    event = event.after_visits(command.known_visits).with_doubt(command.in_doubt)
    if instance.status.is_final and not instance.lets_run(event):
        stopped = stop_event(instance, event, now=now)
        return Applied(instance=stopped.instance, records=stopped.records)
    until = command.intent.answer_by
    pause = EventPause(waits_for=PausedFor.ANSWER, answer_by=until)
    waiting = event.waiting(EventStatus.PAUSED, until or event.due_at, pause=pause, now=now)
    return Applied(instance=instance.with_event(waiting).at_rest(now=now))


def forgo_answer(instance: Instance, command: ForgoAnswer, *, now: datetime) -> Verdict:
    """Nobody who has looked at the event before this may have an answer to that sending taken any more.

    AlreadyThere: the answer was faster, or the claim holds no longer.
    """
    event = instance.claimed_event(command.seq, command.fence)
    if event is None or event.has_answer_to(command.correlation_id):
        return AlreadyThere(instance=instance)
    return Applied(instance=replace(instance.with_event(replace(event, updated_at=now)), updated_at=now))


def _goes_on(event: Event) -> bool:
    """Whether an answer sets the event going: it waits for it, for its next attempt, or for a decision."""
    waits_for_attempt = event.status is EventStatus.PENDING
    return waits_for_attempt or event.paused_for in (PausedFor.ANSWER, PausedFor.IN_DOUBT)


def _may_be_sent_again(then: Then | None) -> bool:
    """Whether the event is between two attempts: its run is to end, or has ended, and another may follow."""
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
    """Whether it is the last that is on file of an asynchronous step, and has no answer."""
    step = sending.intent.step
    last = max(
        (entry for entry in event_history.entries if entry.intent.step == step),
        key=lambda entry: (entry.run, entry.intent.visit),
    )
    return last is sending and last.intent.answers_later and last.outcome.unanswered
