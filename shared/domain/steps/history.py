"""What became of an event, step by step, over all of its runs.

Read from the journal as it stands; nothing is evaluated. Source: contracts/core.md section 5.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from shared.domain.instance.event import Event, EventStatus, PausedFor
from shared.domain.instance.journal import EventHistory, EventRecord, JournalEntry
from shared.domain.instance.model import Instance
from shared.domain.instance.replay import chain, is_sent, position
from shared.domain.instance.run import Ending, Intent, Path, RunEnd, Then


class StepOutcome(StrEnum):
    """What a step came to."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    UNANSWERED = "UNANSWERED"
    """No definite answer came: it may have taken effect."""
    SENT = "SENT"
    """Its asynchronous call was sent; hearing the answer is a step of its own."""
    AWAITED = "AWAITED"
    """The answer to its call has not come yet."""
    FROM_CACHE = "FROM_CACHE"
    """It was passed: its success in an earlier run still counts."""
    UNDER_WAY = "UNDER_WAY"
    """A runner is at it."""
    CUT_OFF = "CUT_OFF"
    """Its runner died or was stopped at it, or an operator has to decide about it: its call may have been sent."""


_SIDE_PATHS = {Ending.RETRY: Path.BEFORE_RETRY, Ending.EXHAUSTED: Path.BEFORE_PAUSE}
"""On which path a run was when it ended so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenStep:
    """One step of a run. intent: of its execution, None where it was passed. entry: None where it has not ended."""

    step: str
    run: int
    attempt: int
    path: Path
    outcome: StepOutcome
    intent: Intent | None = None
    entry: JournalEntry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastEvent:
    """An event as it stands, and how it got there. record: None while it is open."""

    event: Event
    record: EventRecord | None
    steps: tuple[TakenStep, ...]


def past_event(instance: Instance, seq: int, event_history: EventHistory) -> PastEvent | None:
    """An event of an instance with all its steps, None where there is none of that number.

    What stands on the instance is the truth; a record beside it is of a runner that had lost its lease.
    """
    event = instance.event(seq)
    record = event_history.record if event is None else None
    if record is not None:
        event = record.event
        event_history = with_last(event_history, record)
    if event is None:
        return None
    return PastEvent(event=event, record=record, steps=tuple(_steps(event_history, event)))


def with_last(event_history: EventHistory, record: EventRecord) -> EventHistory:
    """The trail of a closed event with the step that stands in its record."""
    last = () if record.last is None else (record.last,)
    return replace(event_history, entries=(*event_history.entries, *last))


def _steps(event_history: EventHistory, event: Event) -> Iterator[TakenStep]:
    for run in range(1, event.run + 1):
        entries = chain(event_history, run)
        for entry in entries:
            yield from _passed(entry.intent, run)
            yield _executed(entry)
        if run == event.run:
            runs = event.status is EventStatus.EXECUTING
            known = event.after_visits(len(entries)) if runs else event
            yield from _ahead(position(event_history, event), known)
        elif entries and isinstance(entries[-1].then, RunEnd):
            yield from _passed(entries[-1].then, run)


def _ahead(then: Then | None, event: Event) -> Iterator[TakenStep]:
    """What the last run has passed since its last executed step, and the step it is at, or was left at."""
    if then is None:
        return
    yield from _passed(then, event.run)
    if not isinstance(then, Intent):
        return
    if event.paused_for is PausedFor.ANSWER:
        outcome = StepOutcome.AWAITED
    elif event.progress.call_in_doubt:
        outcome = StepOutcome.CUT_OFF
    elif event.status is EventStatus.EXECUTING:
        outcome = StepOutcome.UNDER_WAY
    else:
        return
    yield TakenStep(
        step=then.step, run=event.run, attempt=then.attempt, path=then.path, outcome=outcome, intent=then
    )


def _passed(then: Then, run: int) -> Iterator[TakenStep]:
    path = then.path if isinstance(then, Intent) else _SIDE_PATHS.get(then.how, Path.MAIN)
    for step in then.passed:
        yield TakenStep(step=step, run=run, attempt=then.attempt, path=path, outcome=StepOutcome.FROM_CACHE)


def _executed(entry: JournalEntry) -> TakenStep:
    if is_sent(entry):
        outcome = StepOutcome.SENT
    elif entry.outcome.success:
        outcome = StepOutcome.SUCCEEDED
    else:
        outcome = StepOutcome.UNANSWERED if entry.outcome.unanswered else StepOutcome.FAILED
    return TakenStep(
        step=entry.intent.step,
        run=entry.run,
        attempt=entry.intent.attempt,
        path=entry.intent.path,
        outcome=outcome,
        intent=entry.intent,
        entry=entry,
    )


def last_finished_run(instance: Instance, records: Sequence[EventRecord]) -> EventRecord | None:
    """Of some closed events the main one whose run finished last, well or in vain; None where there is none.

    What was skipped or canceled has not run. A record beside an event that is open does not count.
    """
    finished = [
        record
        for record in records
        if record.event.is_main
        and record.event.status in (EventStatus.PROCESSED, EventStatus.FAILED)
        and instance.event(record.event.seq) is None
    ]
    return max(finished, key=lambda record: (record.finished_at, record.event.seq), default=None)
