"""Replay of an event's history: the position of a run, the results of its steps, and which results can be reused.

Replay evaluates no expressions. It follows the stored outcomes and the stored choices of next steps.
Source: docs/design.md sections 3.7 and 3.8; section 5.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from shared.domain.instance.event import Event, EventStatus
from shared.domain.instance.journal import Answer, EventHistory, EventRecord, JournalEntry, StepResult
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import Certainty, Intent, Outcome, Path, RunEnd, Then


def chain(event_history: EventHistory, run: int) -> tuple[JournalEntry, ...]:
    """Return the entries of one run that follow from each other, from its first step on.

    The chain ends before an entry whose step was not the chosen one, or whose fence is lower than its predecessor's.
    Such an entry was written by a runner that had lost its lease.
    """
    return _linked({entry.intent.visit: entry for entry in event_history.entries if entry.run == run})


def valid_history(event_history: EventHistory, event: Event) -> EventHistory:
    """Return the history without the entries that do not count for an open event.

    Two kinds of entries written after the runner lost the event are dropped; the step is then executed again, and its
    call is sent under the same key.
    - Failed steps: the other runner may have sent the same call since, with success.
    - Steps with directives that were not applied in time: they were decided on attributes that may have changed.
    """
    return replace(
        event_history,
        entries=tuple(entry for entry in event_history.entries if not _is_overtaken(entry, event)),
    )


def resumable_history(event_history: EventHistory, event: Event) -> EventHistory:
    """Return the history from which the run continues.

    If the answer to an asynchronous call was taken while its runner recorded the call as unanswered, that entry is
    dropped. Nothing has followed from it, because the runner commits ``ForgoAnswer`` on the instance first.
    """
    event_history = valid_history(event_history, event)
    entries = chain(event_history, event.run)
    last = entries[-1] if entries else None
    if last is None or not last.intent.answers_later or not event.has_answer_to(last.intent.correlation_id):
        return event_history
    # A sending that waits for its answer or was refused, and an answer that was taken and processed, stay.
    if is_sent(last) or is_refused(last) or (last.intent.awaits and not last.outcome.in_doubt):
        return event_history
    return replace(
        event_history, entries=tuple(entry for entry in event_history.entries if entry is not last)
    )


def _is_overtaken(entry: JournalEntry, event: Event) -> bool:
    """Return whether the entry was written after its claim was lost, or its directives were not applied in time."""
    if entry.run != event.run:
        return False
    # Written by a runner that had already lost its claim.
    is_late = entry.intent.visit > event.progress.known_visits and entry.fence < event.claim.fence
    if not entry.outcome.directives:
        return is_late and not entry.outcome.success
    # Directives count only if they were applied while their runner had the event.
    is_at_rest = event.status is not EventStatus.EXECUTING
    return (is_late or is_at_rest) and (entry.run, entry.intent.visit) > event.applied


def answer_to(event_history: EventHistory, event: Event, intent: Intent) -> Answer | None:
    """Return the answer to an intent's call that the event has taken, or None if the history does not hold it."""
    mark = event.answered
    if mark is None or mark.correlation_id != intent.correlation_id:
        return None
    return next((answer for answer in event_history.answers if answer.key == mark.key), None)


def has_unanswered_call(entries: Iterable[JournalEntry]) -> bool:
    """Return whether a call of these steps was sent without a definite answer, and may have taken effect."""
    return any(entry.intent.repeat or (entry.outcome.in_doubt and not is_sent(entry)) for entry in entries)


def is_sent(entry: JournalEntry) -> bool:
    """Return whether the entry is the sending of an asynchronous call. Its answer is a visit of its own."""
    return isinstance(entry.then, Intent) and entry.then.awaits


def is_refused(entry: JournalEntry) -> bool:
    """Return whether the service refused the call for now. The next visit repeats it, so the step has no result yet."""
    return isinstance(entry.then, Intent) and entry.then.refusal is not None


def last_run(event_history: EventHistory, record: EventRecord) -> tuple[JournalEntry, ...]:
    """Return the steps of a closed event's last run.

    The record's last step replaces a journal entry of the same visit, which a runner without the lease may have
    written.
    """
    entries = chain(event_history, record.event.run)
    return entries if record.last is None else (*entries[: record.last.intent.visit - 1], record.last)


def position(event_history: EventHistory, event: Event) -> Then | None:
    """Return the next action of the event's current run: a step or the end. None before its first run."""
    entries = chain(event_history, event.run)
    return entries[-1].then if entries else event.progress.first_action


def entry_to_refence(event_history: EventHistory, event: Event, *, fence: int) -> JournalEntry | None:
    """Return the last entry a claim continues from, to be stored again under the claim's fence, or None if not needed.

    ``event`` is the event before the claim. The entry is stored again if earlier runners may still be running. If two
    of them have lost their leases, the later one could replace an entry of the earlier one after this claim has built
    on it. If the runner of the last claim has stored the entry and left the event, none is.
    """
    followed = chain(event_history, event.run)
    if not followed:
        return None
    last = followed[-1]
    is_left = event.status is not EventStatus.EXECUTING and not event.progress.call_in_doubt
    return None if is_left and last.fence >= event.claim.fence else replace(last, fence=fence)


def unapplied(event_history: EventHistory, event: Event) -> tuple[JournalEntry, ...]:
    """Return the entries of the current run whose directives have not been applied to the instance."""
    return tuple(
        entry
        for entry in chain(event_history, event.run)
        if entry.outcome.directives and (entry.run, entry.intent.visit) > event.applied
    )


def stored_results(
    event_history: EventHistory, event: Event, path: Path, *, since: int = 1
) -> Mapping[str, StepResult]:
    """Return the results that a retry reuses: steps whose last execution in an earlier run succeeded or was skipped.

    The error of a rule that could not be evaluated after a success is left out: the retry evaluates it again.

    On the main path, results of main-path steps are reused from the run ``since`` on. On side paths, results of
    side-path steps are reused, but only since the last restart after used-up attempts.
    """
    main = path is Path.MAIN
    first = since if main else event.reuse.side_results_from
    # Only the last execution of a step counts, so later runs replace earlier ones.
    last: dict[str, StepResult] = {}
    reusable: dict[str, bool] = {}
    for entries in _chains(event_history, first, event.run - 1):
        for entry in entries:
            if (entry.intent.path is Path.MAIN) == main and not is_refused(entry):
                put_result(last, entry.intent, entry.outcome)
                reusable[entry.intent.step] = _is_reusable(entry.outcome)
    return {
        step: replace(result, error=None if result.success else result.error, from_cache=True)
        for step, result in last.items()
        if reusable[step]
    }


def _is_reusable(outcome: Outcome) -> bool:
    """Return whether a retry passes the step. An operator skips a call for good: a retry does not send it either."""
    if outcome.success:
        return not outcome.in_doubt
    return outcome.error is not None and outcome.error.kind is ErrorKind.SKIPPED


def stack(event_history: EventHistory, event: Event, intent: Intent) -> dict[str, StepResult]:
    """Return the results of the current run's steps before an intent, including reused results."""
    results: dict[str, StepResult] = {}
    for entry in chain(event_history, event.run):
        _pass(results, event_history, event, entry.intent)
        # A refusal leaves no trace on the stack, so the repeated request is rendered from the same variables.
        if not is_refused(entry):
            put_result(results, entry.intent, entry.outcome)
    _pass(results, event_history, event, intent)
    return results


def put_result(results: dict[str, StepResult], intent: Intent, outcome: Outcome) -> None:
    """Put the result of a step on the stack. If it is an answer, the earlier reply is kept as ``cached``."""
    before = results.get(intent.step)
    results[intent.step] = StepResult(
        success=outcome.success,
        response=outcome.response,
        cached=before.response if intent.awaits and before is not None else None,
        error=outcome.error,
        in_doubt=outcome.in_doubt,
    )


def open_sending(event_history: EventHistory, event: Event, step: str) -> JournalEntry | None:
    """Return the entry of the step's last call if it never got a definite answer, else None."""
    last = None
    for entries in _chains(event_history, 1, event.run):
        for entry in entries:
            if entry.intent.step == step:
                last = entry
    return None if last is None or last.outcome.certainty is Certainty.DEFINITE else last


def passed_in_run(event_history: EventHistory, event: Event, intent: Intent) -> frozenset[str]:
    """Return the steps that the current run passed with reused results on the intent's path, up to the intent."""
    intents = [entry.intent for entry in chain(event_history, event.run)] + [intent]
    return frozenset(step for each in intents if each.path is intent.path for step in each.passed)


def reached_steps(
    event_history: EventHistory, event: Event, run: int, intent: Intent | None = None
) -> frozenset[str]:
    """Return the steps that a run has reached on its main path, executed or passed; up to ``intent`` if it is given."""
    entries = chain(event_history, run)
    intents = [entry.intent for entry in entries] + ([] if intent is None else [intent])
    steps = {step for each in intents if each.path is Path.MAIN for step in (*each.passed, each.step)}
    then = entries[-1].then if entries else event.progress.first_action
    if intent is None and isinstance(then, RunEnd):
        steps.update(then.passed)
    return frozenset(steps)


def _pass(results: dict[str, StepResult], event_history: EventHistory, event: Event, intent: Intent) -> None:
    if intent.passed:
        stored = dict(stored_results(event_history, event, Path.MAIN))
        if intent.path is not Path.MAIN:
            stored.update(stored_results(event_history, event, intent.path))
        results.update({step: stored[step] for step in intent.passed})


def _chains(event_history: EventHistory, first: int, last: int) -> list[tuple[JournalEntry, ...]]:
    """Return the chain of each run from ``first`` to ``last``, in one pass over the history."""
    runs: dict[int, dict[int, JournalEntry]] = {run: {} for run in range(first, last + 1)}
    for entry in event_history.entries:
        if entry.run in runs:
            runs[entry.run][entry.intent.visit] = entry
    return [_linked(by_visit) for by_visit in runs.values()]


def _linked(by_visit: Mapping[int, JournalEntry]) -> tuple[JournalEntry, ...]:
    linked: list[JournalEntry] = []
    while (entry := by_visit.get(len(linked) + 1)) is not None:
        if linked and not _follows(linked[-1], entry):
            break
        linked.append(entry)
    return tuple(linked)


def _follows(before: JournalEntry, entry: JournalEntry) -> bool:
    # A falling fence shows a runner that wrote after it had lost its lease (ADR 3).
    chosen = before.then
    return isinstance(chosen, Intent) and chosen.step == entry.intent.step and entry.fence >= before.fence
