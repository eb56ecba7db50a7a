"""The plan that a claim reads in its event's history (``replay.py``), and a run's first action (``cursor.py``)."""

from collections.abc import Sequence

from tests.model.state import (
    EXECUTING,
    LAST_STEP,
    LOST,
    NO_ENTRY,
    OK,
    SILENT,
    Entry,
    Event,
    Plan,
    State,
)
from tests.model.world import Configuration, only_reads

NO_ANSWER = (LOST, SILENT)


def place(run: int, visit: int) -> int:
    """Return the index of an entry in the journal of its event."""
    return (run - 1) * LAST_STEP + visit - 1


def new_key(run: int, visit: int) -> int:
    """Return the call key of a visit."""
    return 10 * run + visit


def read_plan(configuration: Configuration, state: State, number: int, event: Event) -> Plan:
    """Return where the run of an event continues, as its stored history says."""
    entries = _valid(configuration, event, state.journal[number])
    followed = _chain(entries, event.run) if configuration.guards.journal_followed else []
    in_doubt = int(
        any(
            (entry.repeat or entry.answer in NO_ANSWER) and not only_reads(configuration, entry.step)
            for entry in entries
        )
    )
    record = state.records[number]
    if not followed:
        step, key, repeat = _first_action(configuration, entries, event)
        return Plan(step=step, key=key, repeat=repeat, in_doubt=in_doubt, record=record)
    last = followed[-1]
    unapplied = any(
        entry.directive and new_key(event.run, visit) > event.applied
        for visit, entry in enumerate(followed, start=1)
    )
    return Plan(
        visits=len(followed),
        step=0 if last.end else last.step + 1,
        key=last.next_key,
        end=last.end,
        in_doubt=in_doubt,
        last=last,
        unapplied=int(unapplied),
        record=record,
    )


def _valid(configuration: Configuration, event: Event, entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries with those emptied that do not count (``valid_history``)."""
    if not configuration.guards.late_failures_ignored:
        return list(entries)
    valid = list(entries)
    for visit in range(1, LAST_STEP + 1):
        index = place(event.run, visit)
        if valid[index] is not NO_ENTRY and _is_overtaken(valid[index], event, visit):
            valid[index] = NO_ENTRY
    return valid


def _is_overtaken(entry: Entry, event: Event, visit: int) -> bool:
    is_late = visit > event.known_visits and entry.fence < event.fence
    if not entry.directive:
        return is_late and entry.answer != OK
    return (is_late or event.status != EXECUTING) and new_key(event.run, visit) > event.applied


def _chain(entries: Sequence[Entry], run: int) -> list[Entry]:
    followed: list[Entry] = []
    for visit in range(1, LAST_STEP + 1):
        entry = entries[place(run, visit)]
        if not entry.step:
            break
        if followed and (
            followed[-1].end or followed[-1].step + 1 != entry.step or entry.fence < followed[-1].fence
        ):
            break
        followed.append(entry)
    return followed


def _first_action(
    configuration: Configuration, entries: Sequence[Entry], event: Event
) -> tuple[int, int, int]:
    """Return the first action of a run: its step, its key, and whether the key was sent before."""
    if event.step:
        return event.step, event.key, event.repeat
    last: dict[int, Entry] = {}
    for run in range(1, event.run):
        last.update({entry.step: entry for entry in _chain(entries, run)})
    step = 1
    while step < LAST_STEP and step in last and last[step].answer == OK:
        step += 1
    if configuration.guards.key_kept_without_answer and step in last and last[step].answer in NO_ANSWER:
        return step, last[step].key, 1
    return step, new_key(event.run, 1), 0
