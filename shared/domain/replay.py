"""Reading a trail back: where a run stands, what its steps came to, what need not be called again.

Nothing is evaluated here: stored outcomes and chosen next steps are followed as they stand.
Source: design section 3, items 7 and 8; section 5.
"""

from collections.abc import Mapping
from dataclasses import replace

from shared.domain.event import Event
from shared.domain.journal import JournalEntry, StepResult, Trail
from shared.domain.run import Intent, Outcome, Path, RunEnd, Then


def chain(trail: Trail, run: int) -> tuple[JournalEntry, ...]:
    """The entries of one run that follow from each other, from its first step on.

    An entry of a runner that had lost its lease hangs in the air: its step was not the one chosen, or
    its fence is lower than the one before it. The chain ends before it.
    """
    return _linked({entry.intent.visit: entry for entry in trail.entries if entry.run == run})


def position(trail: Trail, event: Event) -> Then | None:
    """What the event's current run was about to do: a step, or its end; None before its first run."""
    entries = chain(trail, event.run)
    return entries[-1].then if entries else event.outset


def to_seal(trail: Trail, event: Event, *, fence: int) -> JournalEntry | None:
    """The last entry a claim goes on from, to be stored again under the claim's own fence.

    Needed where an earlier runner may still be alive. Of two that have lost their leases, the later one could
    replace what the earlier one wrote, after this claim has built on it.
    """
    followed = chain(trail, event.run)
    return replace(followed[-1], fence=fence) if followed and followed[-1].fence < fence else None


def unapplied(trail: Trail, event: Event) -> tuple[JournalEntry, ...]:
    """Entries of the current run whose directives the aggregate has not been given."""
    return tuple(
        entry
        for entry in chain(trail, event.run)
        if entry.outcome.directives and (entry.run, entry.intent.visit) > event.applied
    )


def stored_results(trail: Trail, event: Event, path: Path, *, since: int = 1) -> Mapping[str, StepResult]:
    """What a retry need not call again: steps whose last execution in an earlier run was a success.

    Main-path ones count on the main path, side-path ones on side paths, and those only since the last
    restart after used-up attempts. since: the first run that counts on the main path.
    """
    main = path is Path.MAIN
    first = since if main else event.side_results_from
    last = {
        entry.intent.step: entry.outcome
        for entries in _chains(trail, first, event.run - 1)
        for entry in entries
        if (entry.intent.path is Path.MAIN) == main
    }
    return {
        step: StepResult(success=True, response=outcome.response, from_cache=True)
        for step, outcome in last.items()
        if outcome.success
    }


def stack(trail: Trail, event: Event, intent: Intent) -> dict[str, StepResult]:
    """What the steps of the current run came to, up to an intent, stored results it passed included."""
    results: dict[str, StepResult] = {}
    for entry in chain(trail, event.run):
        _pass(results, trail, event, entry.intent)
        results[entry.intent.step] = result_of(entry.outcome)
    _pass(results, trail, event, intent)
    return results


def result_of(outcome: Outcome) -> StepResult:
    """What an executed step looks like on the stack."""
    return StepResult(success=outcome.success, response=outcome.response, error=outcome.error)


def unanswered_sending(trail: Trail, event: Event, step: str) -> Intent | None:
    """The intent of the step's last sending, where no definite answer to it ever came."""
    last = None
    for entries in _chains(trail, 1, event.run):
        for entry in entries:
            if entry.intent.step == step:
                last = entry
    return last.intent if last is not None and last.outcome.unanswered else None


def passed_in_run(trail: Trail, event: Event, intent: Intent) -> frozenset[str]:
    """The steps that the current run has passed from stored results on the path of an intent, up to it."""
    intents = [entry.intent for entry in chain(trail, event.run)] + [intent]
    return frozenset(step for each in intents if each.path is intent.path for step in each.passed)


def come_to(trail: Trail, event: Event, run: int, intent: Intent | None = None) -> frozenset[str]:
    """The steps that a run has come to on its main path, executed or passed; up to an intent, where one is given."""
    entries = chain(trail, run)
    intents = [entry.intent for entry in entries] + ([] if intent is None else [intent])
    found = {step for each in intents if each.path is Path.MAIN for step in (*each.passed, each.step)}
    then = entries[-1].then if entries else event.outset
    return (
        frozenset(found | set(then.passed))
        if intent is None and isinstance(then, RunEnd)
        else frozenset(found)
    )


def _pass(results: dict[str, StepResult], trail: Trail, event: Event, intent: Intent) -> None:
    if intent.passed:
        stored = dict(stored_results(trail, event, Path.MAIN))
        if intent.path is not Path.MAIN:
            stored.update(stored_results(trail, event, intent.path))
        results.update({step: stored[step] for step in intent.passed})


def _chains(trail: Trail, first: int, last: int) -> list[tuple[JournalEntry, ...]]:
    """The chain of each run from ``first`` to ``last``, in one pass over the trail."""
    runs: dict[int, dict[int, JournalEntry]] = {run: {} for run in range(first, last + 1)}
    for entry in trail.entries:
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
