"""The parts that the model's processes share: the configuration, the stores, and the decisions on an instance."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.model.guards import Guards
from tests.model.state import (
    ACTIVE,
    CANCELED,
    CLOSED_CANCELED,
    EXECUTING,
    EXPIRED,
    FRESH,
    GIVEN_BACK,
    LAST_STEP,
    LIVE,
    NO_LEASE,
    OK,
    PAUSED,
    READY,
    STALE,
    STOPPED,
    WAITING,
    Budget,
    Closed,
    Event,
    Instance,
    Record,
    State,
    event_of,
    replaced,
    with_event,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One search: the number of runners, events and runs, and the faults and commands that may occur.

    ``runs`` is how many attempts an event has, and ``answers`` how a service may answer. ``max_crashes`` is five in
    the code. ``has_directive`` says that the controller of the first step gives one. ``has_flag`` lets a strategy be
    paused. ``has_waiting_event`` puts the last event on hold until an operator executes it, and ``dates_ahead``
    dates it later. ``wakeups`` models wakeups one by one; otherwise a runner starts whenever an event is due.
    ``has_sweeper`` and ``jobs_linger`` can be switched off, to see which invariants hold without them. With
    ``clocks_differ`` a lease may lapse by the clock of all but its own runner. With ``is_delayed`` the first step
    only reads, so that each of its calls may be answered in another way, and the second one has a delay.
    """

    name: str
    runners: int = 2
    events: int = 2
    runs: int = 1
    max_crashes: int = 2
    answers: tuple[int, ...] = (OK,)
    budget: Budget = field(default_factory=Budget)
    commands: tuple[str, ...] = ()
    has_directive: bool = False
    has_flag: bool = False
    has_waiting_event: bool = False
    has_outages: bool = False
    wakeups: bool = False
    has_sweeper: bool = True
    has_neighbour: bool = False
    can_be_unreadable: bool = False
    jobs_linger: bool = True
    dates_ahead: bool = False
    clocks_differ: bool = False
    is_delayed: bool = False
    guards: Guards = field(default_factory=Guards)


def next_event(configuration: Configuration, instance: Instance) -> int | None:
    """Return the number of the event that starts now, or None."""
    if instance.status != ACTIVE:
        return None
    ready = [
        (event.order, number)
        for number, event in enumerate(instance.events)
        if isinstance(event, Event) and event.status == READY
    ]
    if not ready:
        return None
    return min(ready)[1] if configuration.guards.events_in_order else max(ready)[1]


def due_event(configuration: Configuration, instance: Instance) -> int | None:
    """Return the number of the event that a runner would claim now, or None."""
    if instance.lease == NO_LEASE:
        return next_event(configuration, instance)
    if instance.lease in EXPIRED or (not configuration.guards.lease_respected and instance.lease == LIVE):
        return instance.running
    return None


def is_too_early(configuration: Configuration, state: State, visit: int) -> bool:
    """Return whether the call of a visit is delayed and its instant is ahead."""
    return configuration.is_delayed and visit == LAST_STEP and not state.is_delay_over


def only_reads(configuration: Configuration, step: int) -> bool:
    """Return whether the calls of a step change nothing, so that they are never in doubt."""
    return configuration.is_delayed and step < LAST_STEP


def is_scheduled(instance: Instance) -> bool:
    """Return whether the next event has a date ahead."""
    if instance.lease != NO_LEASE:
        return instance.lease == GIVEN_BACK
    return instance.status == ACTIVE and any(
        isinstance(event, Event) and event.status == WAITING for event in instance.events
    )


def holds(instance: Instance, number: int, fence: int) -> Event | None:
    """Return the event if the claim with that fence still holds it (``Instance.claimed_event``)."""
    if instance.lease == NO_LEASE or instance.running != number or instance.fence != fence:
        return None
    return event_of(instance, number)


def at_rest(instance: Instance) -> Instance:
    """Return the instance without its lease."""
    return instance._replace(lease=NO_LEASE, running=0, sent_visit=0)


def stored(configuration: Configuration, state: State, after: Instance, *, quietly: bool = False) -> State:
    """Return the state after a write of the instance.

    A write is conditional on ``rev``, and ``rev`` rises with each. So all that matters of it is whether anything was
    written since a process has loaded the instance: FRESH or STALE. A FRESH process knows the instance as it is, so
    its copy need not be kept. Without the condition a STALE process writes its changed copy, which is kept.
    """
    before = state.instance
    if before == after and quietly:
        return state
    guards = configuration.guards
    runners = state.runners
    for index, runner in enumerate(runners):
        if runner.loaded == FRESH:
            copy = None if guards.claim_checks_rev else before
            runners = replaced(runners, index, runner._replace(loaded=STALE, snapshot=copy))
    loaded = STALE if state.sweeper_loaded == FRESH else state.sweeper_loaded
    return state._replace(instance=after._replace(moved_on=0), runners=runners, sweeper_loaded=loaded)


def closed(
    state: State, instance: Instance, number: int, how: int, record: Record | None = None
) -> tuple[State, Instance]:
    """Return state and instance after an event has left its instance, in one write with the record if one is given.

    The journal is dropped, because nothing reads it again: a redrive is not part of the model.
    """
    state = state._replace(journal=replaced(state.journal, number, ()))
    if record is not None:
        state = state._replace(records=replaced(state.records, number, record))
    return state, with_event(instance, number, Closed(how))


def stop_event(state: State, instance: Instance, number: int, event: Event) -> tuple[State, Instance]:
    """Return state and instance after the event of a stopped instance was released (``stop_event``)."""
    event = event._replace(in_doubt=event.in_doubt | event.call_in_doubt)
    if instance.status == PAUSED:
        return state, at_rest(with_event(instance, number, event._replace(status=STOPPED)))
    record = Record(instance.fence, CLOSED_CANCELED, event.in_doubt)
    state, instance = closed(state, instance, number, CLOSED_CANCELED, record)
    return state, at_rest(instance)


def queued(event: Event) -> Event:
    """Return the event READY, after the others; earlier crashes no longer count."""
    return event._replace(status=READY, order=2, crashes=0)


def after_visits(event: Event, visits: int) -> Event:
    """Return the event with that many steps known to be done; facts about an earlier step are dropped."""
    if visits <= event.known_visits:
        return event
    if event.was_killed:
        return event._replace(known_visits=visits)
    return event._replace(known_visits=visits, crashes=0, call_in_doubt=0)


def cancel_instance(
    configuration: Configuration, state: State, instance: Instance, *, kill: bool
) -> tuple[State, Instance]:
    """Return state and instance after a cancelation. An event under a live lease is left to its runner."""
    is_live = instance.lease in (LIVE, GIVEN_BACK)
    spared = instance.running if is_live and not kill else None
    for number, event in enumerate(instance.events):
        if not isinstance(event, Event) or number == spared:
            continue
        is_running = event.status == EXECUTING
        fence = instance.fence + (is_running and configuration.guards.kill_moves_fence)
        record = Record(fence, CLOSED_CANCELED, event.in_doubt | int(is_running))
        state, instance = closed(state, instance, number, CLOSED_CANCELED, record)
        if is_running:
            instance = at_rest(instance)._replace(fence=fence)
    return state, instance._replace(status=CANCELED, blocked=0)


def renumbered(state: State) -> State:
    """Return the state with its fences numbered from 0 on, in the same order.

    Fences are only compared, and a new one is above all others. So states that differ in nothing but gaps between
    their fences behave in the same way, and a single state represents them all. This keeps the space finite.
    """
    used = {0, state.instance.fence}
    used.update(event.fence for event in state.instance.events if isinstance(event, Event))
    used.update(entry.fence for journal in state.journal for entry in journal)
    used.update(record.fence for record in state.records)
    for runner in state.runners:
        used.update((runner.fence, runner.plan.last.fence, runner.plan.record.fence))
        if runner.before is not None:
            used.add(runner.before.fence)
        if runner.snapshot is not None:
            used |= _fences(runner.snapshot)
    if state.operator is not None:
        used |= _fences(state.operator)
    ranks = {fence: rank for rank, fence in enumerate(sorted(used))}
    return (
        state
        if all(fence == rank for fence, rank in ranks.items())
        else _with_ranks(state, ranks.__getitem__)
    )


def _fences(instance: Instance) -> set[int]:
    return {instance.fence, *(event.fence for event in instance.events if isinstance(event, Event))}


def _with_ranks(state: State, rank: Callable[[int], int]) -> State:
    def of_instance(instance: Instance) -> Instance:
        events = tuple(
            event._replace(fence=rank(event.fence)) if isinstance(event, Event) else event
            for event in instance.events
        )
        return instance._replace(fence=rank(instance.fence), events=events)

    runners = []
    for runner in state.runners:
        plan = runner.plan
        last = plan.last._replace(fence=rank(plan.last.fence))
        record = plan.record._replace(fence=rank(plan.record.fence))
        before, snapshot = runner.before, runner.snapshot
        runners.append(
            runner._replace(
                fence=rank(runner.fence),
                plan=plan._replace(last=last, record=record),
                before=None if before is None else before._replace(fence=rank(before.fence)),
                snapshot=None if snapshot is None else of_instance(snapshot),
            )
        )
    return state._replace(
        instance=of_instance(state.instance),
        journal=tuple(
            tuple(entry._replace(fence=rank(entry.fence)) for entry in entries) for entries in state.journal
        ),
        records=tuple(record._replace(fence=rank(record.fence)) for record in state.records),
        runners=tuple(runners),
        operator=None if state.operator is None else of_instance(state.operator),
    )
