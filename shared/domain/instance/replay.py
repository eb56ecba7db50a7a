"""Reading a trail back: where a run stands, what its steps came to, what need not be called again.

Nothing is evaluated here: stored outcomes and chosen next steps are followed as they stand.
Source: design section 3, items 7 and 8; section 5.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from shared.domain.instance.event import Event, EventStatus
from shared.domain.instance.journal import Answer, EventHistory, EventRecord, JournalEntry, StepResult
from shared.domain.instance.run import Intent, Outcome, Path, RunEnd, Then


def chain(event_history: EventHistory, run: int) -> tuple[JournalEntry, ...]:
    """The entries of one run that follow from each other, from its first step on.

    An entry of a runner that had lost its lease hangs in the air: its step was not the one chosen, or
    its fence is lower than the one before it. The chain ends before it.
    """
    return _linked({entry.intent.visit: entry for entry in event_history.entries if entry.run == run})


def counted(event_history: EventHistory, event: Event) -> EventHistory:
    """What counts of a trail for an open event.

    What a runner has written down after another had claimed the event does not where it is no success: the other
    may have sent the same call since, and had it done. Nor does what ordered anything and was not handed over before
    somebody else had the event: it was decided on attributes that others may have changed since. Such a step is
    done once more, its call sent under its key.
    """
    return replace(
        event_history,
        entries=tuple(entry for entry in event_history.entries if not _is_overtaken(entry, event)),
    )


def heard(event_history: EventHistory, event: Event) -> EventHistory:
    """The trail as a run goes on from it: what counts of it.

    An answer may be taken in the moment in which its sending is judged without it. Nothing has followed from
    that judgement then (the runner tells the instance first), and so it does not count.
    """
    event_history = counted(event_history, event)
    entries = chain(event_history, event.run)
    last = entries[-1] if entries else None
    if last is None or not last.intent.answers_later or not event.has_answer_to(last.intent.correlation_id):
        return event_history
    if is_sent(last) or (last.intent.awaits and not last.outcome.unanswered):
        return event_history
    return replace(
        event_history, entries=tuple(entry for entry in event_history.entries if entry is not last)
    )


def _is_overtaken(entry: JournalEntry, event: Event) -> bool:
    """Whether its claim had lost the event before it was written down, or before its orders were handed over."""
    if entry.run != event.run:
        return False
    is_late = entry.intent.visit > event.progress.known_visits and entry.fence < event.claim.fence
    if not entry.outcome.directives:
        return is_late and not entry.outcome.success
    is_at_rest = event.status is not EventStatus.EXECUTING
    return (is_late or is_at_rest) and (entry.run, entry.intent.visit) > event.applied


def answer_to(event_history: EventHistory, event: Event, intent: Intent) -> Answer | None:
    """The answer to the sending of an intent that the event has taken, where the trail holds it."""
    mark = event.answered
    if mark is None or mark.correlation_id != intent.correlation_id:
        return None
    return next((answer for answer in event_history.answers if answer.key == mark.key), None)


def left_unanswered(entries: Iterable[JournalEntry]) -> bool:
    """Whether a call among these steps was, or may have been, sent more than once or without an answer."""
    return any(entry.intent.repeat or (entry.outcome.unanswered and not is_sent(entry)) for entry in entries)


def is_sent(entry: JournalEntry) -> bool:
    """Whether it is the sending of an asynchronous call whose answer is a visit of its own."""
    return isinstance(entry.then, Intent) and entry.then.awaits


def last_run(event_history: EventHistory, record: EventRecord) -> tuple[JournalEntry, ...]:
    """The steps of a closed event's last run.

    What its record holds counts; a runner that had lost its lease may have journalled that step as well.
    """
    entries = chain(event_history, record.event.run)
    return entries if record.last is None else (*entries[: record.last.intent.visit - 1], record.last)


def position(event_history: EventHistory, event: Event) -> Then | None:
    """What the event's current run was about to do: a step, or its end; None before its first run."""
    entries = chain(event_history, event.run)
    return entries[-1].then if entries else event.progress.first_action


def entry_to_refence(event_history: EventHistory, event: Event, *, fence: int) -> JournalEntry | None:
    """Return the last entry a claim continues from, to be stored again under the claim's own fence.

    Needed if earlier runners may still be running: of two that have lost their leases, the later one could replace
    what the earlier one wrote, after this claim has built on it.
    """
    followed = chain(event_history, event.run)
    return replace(followed[-1], fence=fence) if followed and followed[-1].fence < fence else None


def unapplied(event_history: EventHistory, event: Event) -> tuple[JournalEntry, ...]:
    """Entries of the current run whose directives the aggregate has not been given."""
    return tuple(
        entry
        for entry in chain(event_history, event.run)
        if entry.outcome.directives and (entry.run, entry.intent.visit) > event.applied
    )


def stored_results(
    event_history: EventHistory, event: Event, path: Path, *, since: int = 1
) -> Mapping[str, StepResult]:
    """What a retry need not call again: steps whose last execution in an earlier run was a success.

    Main-path ones count on the main path, side-path ones on side paths, and those only since the last
    restart after used-up attempts. since: the first run that counts on the main path.
    """
    main = path is Path.MAIN
    first = since if main else event.reuse.side_results_from
    last: dict[str, StepResult] = {}
    unanswered: dict[str, bool] = {}
    for entries in _chains(event_history, first, event.run - 1):
        for entry in entries:
            if (entry.intent.path is Path.MAIN) == main:
                lay_on(last, entry.intent, entry.outcome)
                unanswered[entry.intent.step] = entry.outcome.unanswered
    return {
        step: replace(result, from_cache=True)
        for step, result in last.items()
        if result.success and not unanswered[step]
    }


def stack(event_history: EventHistory, event: Event, intent: Intent) -> dict[str, StepResult]:
    """What the steps of the current run came to, up to an intent, stored results it passed included."""
    results: dict[str, StepResult] = {}
    for entry in chain(event_history, event.run):
        _pass(results, event_history, event, entry.intent)
        lay_on(results, entry.intent, entry.outcome)
    _pass(results, event_history, event, intent)
    return results


def lay_on(results: dict[str, StepResult], intent: Intent, outcome: Outcome) -> None:
    """Put what a step came to on the stack; with an answer, the reply it follows stays beside it."""
    before = results.get(intent.step)
    results[intent.step] = StepResult(
        success=outcome.success,
        response=outcome.response,
        cached=before.response if intent.awaits and before is not None else None,
        error=outcome.error,
        unanswered=outcome.unanswered,
    )


def unanswered_sending(event_history: EventHistory, event: Event, step: str) -> Intent | None:
    """The intent of the step's last sending, where no definite answer to it ever came."""
    last = None
    for entries in _chains(event_history, 1, event.run):
        for entry in entries:
            if entry.intent.step == step:
                last = entry
    return last.intent if last is not None and last.outcome.unanswered else None


def passed_in_run(event_history: EventHistory, event: Event, intent: Intent) -> frozenset[str]:
    """The steps that the current run has passed from stored results on the path of an intent, up to it."""
    intents = [entry.intent for entry in chain(event_history, event.run)] + [intent]
    return frozenset(step for each in intents if each.path is intent.path for step in each.passed)


def come_to(
    event_history: EventHistory, event: Event, run: int, intent: Intent | None = None
) -> frozenset[str]:
    """The steps that a run has come to on its main path, executed or passed; up to an intent, where one is given."""
    entries = chain(event_history, run)
    intents = [entry.intent for entry in entries] + ([] if intent is None else [intent])
    found = {step for each in intents if each.path is Path.MAIN for step in (*each.passed, each.step)}
    then = entries[-1].then if entries else event.progress.first_action
    return (
        frozenset(found | set(then.passed))
        if intent is None and isinstance(then, RunEnd)
        else frozenset(found)
    )


def _pass(results: dict[str, StepResult], event_history: EventHistory, event: Event, intent: Intent) -> None:
    if intent.passed:
        stored = dict(stored_results(event_history, event, Path.MAIN))
        if intent.path is not Path.MAIN:
            stored.update(stored_results(event_history, event, intent.path))
        results.update({step: stored[step] for step in intent.passed})


def _chains(event_history: EventHistory, first: int, last: int) -> list[tuple[JournalEntry, ...]]:
    """The chain of each run from ``first`` to ``last``, in one pass over the trail."""
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
    chosen = before.then
    return isinstance(chosen, Intent) and chosen.step == entry.intent.step and entry.fence >= before.fence
