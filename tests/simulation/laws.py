"""The invariants that must hold, whatever went wrong."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from dev.memory.stores import MemoryInstances
from shared.domain.ids import InstanceSid, event_address
from shared.domain.instance.due import GRACE, answer_expected_at, next_event, sweep_at
from shared.domain.instance.event import EventKind, EventStatus, PausedFor
from shared.domain.instance.journal import ClosedBy, EventRecord, JournalEntry
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.replay import last_run
from shared.domain.instance.run import Ending
from tests.factories import stop_of
from tests.simulation.services import Sending
from tests.simulation.stage import Stage


class Scene(Protocol):
    """The part of a world that the laws judge. It has one instance."""

    store: MemoryInstances
    ledger: list[Sending]
    stage: Stage
    now_at: datetime
    too_late: list[JournalEntry]


@dataclass(slots=True)
class OneOfMany:
    """One instance of a world, with its own journal, records and calls, as a scene."""

    store: MemoryInstances
    ledger: list[Sending]
    stage: Stage
    now_at: datetime
    too_late: list[JournalEntry]


def one_of(world: Scene, sid: InstanceSid) -> OneOfMany:
    """Return the scene of one instance, without processes, since some belong to other instances."""
    store = world.store
    own = MemoryInstances(
        instances={sid: store.instances[sid]},
        journal={key: entry for key, entry in store.journal.items() if key[0] == sid},
        records={key: record for key, record in store.records.items() if key[0] == sid},
        answers={key: answer for key, answer in store.answers.items() if key[0] == sid},
    )
    return OneOfMany(
        store=own,
        ledger=[sending for sending in world.ledger if address_of_call(sending.key)[0] == sid],
        stage=Stage(),
        now_at=world.now_at,
        too_late=world.too_late,
    )


def only_instance(world: Scene) -> Instance:
    """Return the instance of a world that has one."""
    (instance,) = world.store.instances.values()
    return instance


def records_of(world: Scene, task: str) -> list[EventRecord]:
    """Return the records of a task's events, in the order of creation."""
    found = [record for record in valid_records(world) if record.event.task == task]
    return sorted(found, key=lambda record: record.event.seq)


def valid_records(world: Scene) -> list[EventRecord]:
    """Return the records that count.

    A runner that had lost its lease may have stored a record just before another runner decided otherwise. Then the
    event is open, and the record's fence is lower than the instance's.
    """
    instance = only_instance(world)
    still_open = {event.seq for event in instance.events}
    stored = world.store.records.values()
    return [r for r in stored if r.event.seq not in still_open or r.fence >= instance.fence]


def is_idle(world: Scene) -> bool:
    """Return whether nothing runs, and no runner waits for a date that is near."""
    return all(
        process.at_point == "start" and process.wakes_at > world.now_at for process in world.stage.processes
    )


def assert_at_rest(world: Scene) -> None:
    """Assert that no runner works on the instance, and that its next event will be found."""
    instance = only_instance(world)
    assert is_idle(world), "a process is at work"
    assert instance.lease is None, "a runner still holds the lease"
    upcoming, answer_by = next_event(instance), answer_expected_at(instance)
    if upcoming is not None:
        assert upcoming.due_at > world.now_at, f"event {upcoming.seq} is overdue at rest"
        check_at = instance.sweep.schedule_at or upcoming.due_at + GRACE
        assert sweep_at(instance) == min(check_at, answer_by or check_at)
    for event in instance.events:
        assert event.status is not EventStatus.EXECUTING, f"event {event.seq} hangs"
    if instance.status is not InstanceStatus.ACTIVE:
        assert stop_of(instance).drained_at is not None


def assert_no_unmarked_double(world: Scene) -> None:
    """Assert that the event of every repeated POST or PATCH is marked as in doubt.

    Excepted are calls that were refused before. Source: docs/contracts/core.md section 3.5.
    """
    done = [
        sending.key
        for sending in world.ledger
        if not sending.is_refused and sending.method in ("post", "patch")
    ]
    for key, times in Counter(done).items():
        if times > 1:
            assert _is_marked(world, key), f"{key} was sent {times} times and is not marked as in doubt"


def events_with_skipped(world: Scene, step: str) -> set[int]:
    """Return the events in which an operator has skipped a step's call."""
    return {
        entry.seq
        for entry in world.store.journal.values()
        if entry.intent.step == step
        and entry.outcome.error is not None
        and entry.outcome.error.kind is ErrorKind.SKIPPED
    }


def assert_effect_once(world: Scene, path: str, events: list[EventRecord]) -> None:
    """Assert that each of these events took effect at a service exactly once, counted by keys."""
    for record in events:
        keys = {
            sending.key
            for sending in _of_event(world, record)
            if sending.url.endswith(path) and sending.took_effect
        }
        assert len(keys) == 1, f"event {record.event.seq} took effect at {path} under {sorted(keys)}"


def assert_history_consistent(world: Scene) -> None:
    """Assert that no event is both closed and open, and that event numbers have no gaps."""
    instance = only_instance(world)
    still_open = {event.seq for event in instance.events}
    finished = {record.event.seq for record in valid_records(world)}
    assert not finished & still_open
    assert finished | still_open == set(range(1, instance.next_seq))


def _of_event(world: Scene, record: EventRecord) -> list[Sending]:
    return [sending for sending in world.ledger if event_of_call(sending.key) == record.event.seq]


def event_of_call(key: str) -> int:
    """Return the number of the event that a call key belongs to."""
    return address_of_call(key)[1]


# The laws ask for every call of a story, once for each instance.
@lru_cache(maxsize=10_000)
def address_of_call(key: str) -> tuple[InstanceSid, int]:
    """Return the instance and the number of the event that a call key belongs to."""
    address = event_address(key.rsplit("-", 2)[0])
    assert address is not None
    return address


def _is_marked(world: Scene, key: str) -> bool:
    instance, seq = only_instance(world), event_of_call(key)
    for record in valid_records(world):
        if record.event.seq == seq:
            return record.in_doubt
    event = instance.event(seq)
    assert event is not None
    event_history = world.store.event_history(instance.sid, seq)
    repeated = any(entry.intent.repeat or entry.outcome.in_doubt for entry in event_history.entries)
    return event.in_doubt or repeated


def assert_effect_at_most_once(world: Scene, path: str, *, or_marked: bool = False) -> None:
    """Assert that no event, closed or open, took effect at a service under two keys.

    With ``or_marked``, operators decide calls in doubt, and an event that is marked may have had two effects.
    """
    effects: dict[int, set[str]] = {}
    for sending in world.ledger:
        if sending.url.endswith(path) and sending.took_effect:
            effects.setdefault(event_of_call(sending.key), set()).add(sending.key)
    for seq, keys in effects.items():
        is_excused = or_marked and all(_is_marked(world, key) for key in keys)
        assert len(keys) == 1 or is_excused, f"event {seq} took effect at {path} under {sorted(keys)}"


def assert_history_complete(world: Scene) -> None:
    """Assert that each step of the last run is stored, for every event that ran to its end."""
    for record in valid_records(world):
        if record.end is None:
            assert record.why is not None, f"event {record.event.seq} ended without a reason"
            continue
        if record.end.how is Ending.IN_DOUBT:
            continue  # the step in doubt is not stored, because an operator decides about it
        event_history = world.store.event_history(record.instance_sid, record.event.seq)
        steps = last_run(event_history, record)
        # A retry may need no step, because every result of the run before is used again.
        assert steps or record.end.passed, f"event {record.event.seq} has no stored step"
        if steps:
            assert steps[-1].then == record.end, f"the last step of event {record.event.seq} is not stored"
        assert [entry.intent.visit for entry in steps] == list(range(1, len(steps) + 1))


def assert_every_cycle_accounted_for(world: Scene) -> None:
    """Assert that each cycle up to the current one was processed, failed, canceled or skipped once."""
    instance = only_instance(world)
    seen: list[int] = []
    for record in valid_records(world):
        if record.event.is_main:
            first, last = record.skipped_cycles or (record.event.created_cycle,) * 2
            seen.extend(range(first, last + 1))
    main = instance.main_event
    seen.extend([] if main is None else [main.created_cycle])
    # Without a first date, which is after the end date, there is no cycle.
    last = 0 if instance.plan.moment is None else instance.plan.cycle
    assert sorted(seen) == list(range(1, last + 1)), f"cycles {sorted(seen)} of {instance.plan.cycle}"


def assert_directives_applied_once(world: Scene) -> None:
    """Assert that directives were applied as a whole: there is one survey for each counted parcel."""
    assert_directives_counted(world, "shipped")
    instance = only_instance(world)
    asked = [record for record in records_of(world, "survey") if record.event.kind is EventKind.ADDED]
    waiting = [event for event in instance.events if event.kind is EventKind.ADDED]
    assert len(asked) + len(waiting) == instance.attributes["shipped"]


def assert_directives_counted(world: Scene, attribute: str) -> None:
    """Assert that each stored directive was applied to the attribute once.

    Directives may or may not count if another writer closed or killed the event, or if the runner had lost the event
    when it wrote them.
    """
    ordered = [
        entry
        for entry in world.store.journal.values()
        if attribute in (entry.outcome.directives or {}).get("attributes", {})
    ]
    certain = [entry for entry in ordered if entry not in world.too_late and not _is_killed(world, entry)]
    counted = only_instance(world).attributes[attribute]
    assert len(certain) <= counted <= len(ordered), f"{len(certain)} <= {counted} <= {len(ordered)}"


def _is_killed(world: Scene, entry: JournalEntry) -> bool:
    event = only_instance(world).event(entry.seq)
    if event is not None:
        waits = (entry.run, entry.intent.visit) > event.applied
        return waits and event.paused_for is PausedFor.OPERATOR
    (record,) = [record for record in valid_records(world) if record.event.seq == entry.seq]
    return record.closed_by not in (ClosedBy.RUN, ClosedBy.CRASHES)
