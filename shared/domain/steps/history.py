"""The past of an event: every step of all its runs.

It is read from the journal; nothing is evaluated. Source: docs/contracts/core.md section 5.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.instance.event import Event, EventStatus, PausedFor
from shared.domain.instance.journal import EventHistory, EventRecord, JournalEntry
from shared.domain.instance.model import Instance
from shared.domain.instance.replay import chain, is_refused, is_sent, position
from shared.domain.instance.run import Ending, Intent, Path, RunEnd, Then


class StepOutcome(StrEnum):
    """The outcome of a step in the history."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    UNANSWERED = "UNANSWERED"
    """The call got no definite answer and may have taken effect."""
    REFUSED = "REFUSED"
    """The service refused the call for now. The next step of the run repeats it under the same key."""
    SENT = "SENT"
    """An asynchronous call was sent. Processing its answer is a step of its own."""
    AWAITED = "AWAITED"
    """The step waits for the answer to its call."""
    FROM_CACHE = "FROM_CACHE"
    """The step was passed, because the result of an earlier run is reused."""
    RUNNING = "UNDER_WAY"
    """A runner is executing the step."""
    CUT_OFF = "CUT_OFF"
    """The runner crashed or was stopped during the step, or an operator must decide. Its call may have been sent."""


_SIDE_PATHS = {Ending.RETRY: Path.BEFORE_RETRY, Ending.EXHAUSTED: Path.BEFORE_PAUSE}
"""The side path of a run by how the run ended."""


class TakenStep(Struct, frozen=True, kw_only=True):
    """One step of a run. ``intent`` is None if the step was passed, ``entry`` is None if it has not ended."""

    step: str
    run: int
    attempt: int
    path: Path
    outcome: StepOutcome
    intent: Intent | None = None
    entry: JournalEntry | None = None


class PastEvent(Struct, frozen=True, kw_only=True):
    """An event with its steps. ``record`` is None while the event is open."""

    event: Event
    record: EventRecord | None
    steps: tuple[TakenStep, ...]


def past_event(instance: Instance, seq: int, event_history: EventHistory) -> PastEvent | None:
    """Return an event of an instance with all its steps, or None if there is no such event."""
    event = instance.event(seq)
    # For an open event a record does not count: it was written by a runner that had lost its lease.
    record = event_history.record if event is None else None
    if record is not None:
        event = record.event
        event_history = with_last_step(event_history, record)
    if event is None:
        return None
    return PastEvent(event=event, record=record, steps=tuple(_steps(event_history, event)))


def with_last_step(event_history: EventHistory, record: EventRecord) -> EventHistory:
    """Return the history of a closed event with its record's last step as a journal entry."""
    last = () if record.last is None else (record.last,)
    return replace(event_history, entries=(*event_history.entries, *last))


def _steps(event_history: EventHistory, event: Event) -> Iterator[TakenStep]:
    for run in range(1, event.run + 1):
        entries = chain(event_history, run)
        for entry in entries:
            yield from _passed(entry.intent, run)
            yield _executed(entry)
        if run == event.run:
            # While it executes, the journal may be ahead of what the instance knows of the run.
            runs = event.status is EventStatus.EXECUTING
            known = event.after_visits(len(entries)) if runs else event
            yield from _ahead(position(event_history, event), known)
        elif entries and isinstance(entries[-1].then, RunEnd):
            yield from _passed(entries[-1].then, run)


def _ahead(then: Then | None, event: Event) -> Iterator[TakenStep]:
    """Yield the steps passed since the last executed one, and the current step if it was started."""
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
        outcome = StepOutcome.RUNNING
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
    elif is_refused(entry):
        outcome = StepOutcome.REFUSED
    elif entry.outcome.success:
        outcome = StepOutcome.SUCCEEDED
    else:
        outcome = StepOutcome.UNANSWERED if entry.outcome.in_doubt else StepOutcome.FAILED
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
    """Return the main event whose run finished last, whether it succeeded or failed, or None.

    Skipped and canceled events have not run. The record of an event that is open again does not count.
    """
    finished = [
        record
        for record in records
        if record.event.is_main
        and record.event.status in (EventStatus.PROCESSED, EventStatus.FAILED)
        and instance.event(record.event.seq) is None
    ]
    return max(finished, key=lambda record: (record.finished_at, record.event.seq), default=None)
