"""Everything beside the runners: time, operators, flags and their release jobs, the sweeper, and all faults."""

from collections.abc import Iterator
from typing import Final

from tests.model.running import steps_of
from tests.model.state import (
    ACTIVE,
    ADVANCE,
    ANY_VISITS,
    AT_HEAD,
    BACK_OVER,
    BEHIND,
    CALL,
    CANCELED,
    CHECK,
    FLAG,
    FRESH,
    GIVE_BACK,
    GIVEN_BACK,
    IDLE,
    LAPSED,
    LAPSED_LATE,
    LIVE,
    MOVE_ON,
    NO_LEASE,
    NOT_LOADED,
    PAUSED,
    PUT_RECORD,
    READY,
    RECORD,
    RESTING,
    STALE,
    STOPPED,
    WAITING,
    WAKE,
    Event,
    Instance,
    Runner,
    State,
    Step,
    event_of,
    fair,
    replaced,
    unfair,
    with_event,
)
from tests.model.world import (
    Configuration,
    cancel_instance,
    due_event,
    is_scheduled,
    queued,
    renumbered,
    stop_event,
    stored,
)

IN_A_CALL: Final = frozenset({FLAG, CALL, RECORD, PUT_RECORD, ADVANCE})
"""Where a runner calls without another look at the instance, or has a result that is not stored yet."""


def steps(configuration: Configuration, state: State) -> Iterator[Step]:
    """Yield every step that is possible in a state."""
    idle_is_done = False
    for index, runner in enumerate(state.runners):
        if runner.at == IDLE:
            # Idle runners are alike, so one of them stands for all.
            if idle_is_done:
                continue
            idle_is_done = True
        yield from steps_of(configuration, state, index)
    yield from _time(configuration, state)
    yield from _commands(configuration, state)
    if configuration.has_flag:
        yield from _flags(configuration, state)
    if configuration.has_outages:
        yield from _outages(state)
    if configuration.wakeups:
        yield from _wakeups(configuration, state)
    if configuration.can_be_unreadable:
        budgeted = state.budget.outages
        if state.is_unreadable:
            yield fair("the settings can be read again", state._replace(is_unreadable=0))
        elif budgeted:
            spent = state.budget._replace(outages=budgeted - 1)
            yield unfair("the settings cannot be read", state._replace(is_unreadable=1, budget=spent))


# Time


def _time(configuration: Configuration, state: State) -> Iterator[Step]:
    instance = state.instance
    if instance.lease == LIVE:
        yield from _lapses(configuration, state)
    elif instance.lease == LAPSED and configuration.has_outages and state.is_down:
        late = instance._replace(lease=LAPSED_LATE)
        yield fair("five minutes pass after the lease", state._replace(instance=late))
    elif instance.lease == GIVEN_BACK:
        over = instance._replace(lease=BACK_OVER)
        yield fair("the back-off of the given claim ends", _fired(state, over))
    if configuration.is_delayed and not state.is_delay_over:
        yield fair("the delay of the second step ends", state._replace(is_delay_over=1))
    for number, event in enumerate(instance.events):
        if isinstance(event, Event) and event.status == WAITING and event.step and not state.is_delay_over:
            continue
        # Dates come in their order, so that of a later event comes only after that of an earlier one.
        if isinstance(event, Event) and event.status == WAITING:
            come = with_event(instance, number, event._replace(status=READY))
            yield fair(f"the date of event {number + 1} comes", _fired(state, come))
            break
    if instance.moved_on:
        over = instance._replace(moved_on=0)
        yield fair("the sweeper's back-off ends", state._replace(instance=over))


def _lapses(configuration: Configuration, state: State) -> Iterator[Step]:
    """Time alone changes no ``rev``, so a loaded copy stays as fresh as it was."""
    instance, budget = state.instance, state.budget
    lapsed = instance._replace(lease=LAPSED)
    owners = [n for n, r in enumerate(state.runners) if _holds(r, instance)]
    if not owners:
        yield fair("the lease of a runner that is gone lapses", state._replace(instance=lapsed))
        return
    if state.is_down and all(state.runners[index].at == GIVE_BACK for index in owners):
        spent, name = budget, "the lease lapses during the outage"
    elif budget.stalls:
        spent, name = (
            budget._replace(stalls=budget.stalls - 1),
            "the runner stalls until its lease has lapsed",
        )
    else:
        return
    if configuration.clocks_differ:
        unnoticed = state._replace(instance=lapsed, budget=spent)
        yield unfair("the lease lapses, but not by its runner's clock", unnoticed)
    runners = state.runners
    for index in owners:
        runners = replaced(runners, index, runners[index]._replace(has_lapsed=1))
    yield unfair(name, state._replace(instance=lapsed, runners=runners, budget=spent))


def _holds(runner: Runner, instance: Instance) -> bool:
    """Return whether the lease is that of the runner."""
    return runner.at != IDLE and runner.fence == instance.fence and not runner.is_refused


def _fired(state: State, instance: Instance) -> State:
    """Return the state at the instant of a schedule, if there is one: it sends its wakeup."""
    return state._replace(instance=instance, wakeup=state.wakeup | state.schedule, schedule=0)


# Operators


def _commands(configuration: Configuration, state: State) -> Iterator[Step]:
    """Yield the commands of an operator. If they check the rev, they decide on the instance as it is at the write."""
    instance = state.instance
    if instance.status == PAUSED:
        yield fair("an operator resumes", _answered(configuration, state, _resumed(instance)))
    if configuration.has_waiting_event:
        yield from _execute(configuration, state)
    if not configuration.guards.command_checks_rev:
        yield from _commands_on_a_copy(configuration, state)
        return
    if not state.budget.commands:
        return
    spent = state._replace(budget=state.budget._replace(commands=state.budget.commands - 1))
    for name in configuration.commands:
        after = _command(configuration, spent, instance, name)
        if after is not None:
            yield unfair(f"an operator sends {name}", after)


def _execute(configuration: Configuration, state: State) -> Iterator[Step]:
    """Yield the command that queues an event on hold. It sends its wakeup after the commit (``wake_runner``)."""
    instance, number = state.instance, configuration.events - 1
    event = event_of(instance, number)
    if event is None or event.status != STOPPED or instance.status != ACTIVE:
        return
    after = with_event(instance, number, queued(event))
    if configuration.guards.wakeup_after_commit:
        yield fair("an operator executes the event on hold", _answered(configuration, state, after))
    elif state.operator is None:
        early = state._replace(wakeup=1, operator=instance)
        yield fair("an operator's command sends its wakeup", early)
    else:
        late = stored(configuration, state._replace(operator=None), after)
        yield fair("an operator executes the event on hold", late)


def _commands_on_a_copy(configuration: Configuration, state: State) -> Iterator[Step]:
    """Yield a command whose load and write are two steps, as without the check of the rev."""
    if state.operator is None:
        if state.budget.commands:
            spent = state.budget._replace(commands=state.budget.commands - 1)
            loaded = state._replace(budget=spent, operator=state.instance)
            yield unfair("an operator's command loads the instance", loaded)
        return
    for name in configuration.commands:
        after = _command(configuration, state._replace(operator=None), state.operator, name)
        if after is not None:
            yield unfair(f"{name} is stored over what is there", after)


def _command(configuration: Configuration, state: State, instance: Instance, name: str) -> State | None:
    """Return the state after a command, or None if it changes nothing."""
    kill = name.endswith("kill")
    if name.startswith("cancel"):
        if instance.status == CANCELED:
            return None
        cleared = _without_killed(state) if kill else state
        after, changed = cancel_instance(configuration, cleared, instance, kill=kill)
        return renumbered(_answered(configuration, after, changed))
    if instance.status == CANCELED or (instance.status == PAUSED and not kill):
        return None
    paused = instance._replace(status=PAUSED)
    event = event_of(instance, instance.running)
    if not kill or instance.lease == NO_LEASE or event is None:
        return None if instance.status == PAUSED else _answered(configuration, state, paused)
    guards = configuration.guards
    fence = instance.fence + guards.kill_moves_fence
    if guards.kill_marks_doubt:
        visits = event.known_visits if guards.kill_keeps_known_visits else ANY_VISITS
        event = event._replace(call_in_doubt=1, known_visits=visits, was_killed=1)
    state, changed = stop_event(_without_killed(state), paused._replace(fence=fence), instance.running, event)
    return renumbered(_answered(configuration, state, changed))


def _without_killed(state: State) -> State:
    """Return the state with the runner marked that has looked before this kill.

    Its call may be on its way, or may still begin if it has looked for the last time before it.
    """
    runners = tuple(
        runner._replace(was_killed=1)
        if runner.at in IN_A_CALL and runner.fence == state.instance.fence
        else runner
        for runner in state.runners
    )
    return state._replace(runners=runners)


def _resumed(instance: Instance) -> Instance:
    """Return the instance ACTIVE again, with the events that an operator stopped queued."""
    events = tuple(
        queued(event) if isinstance(event, Event) and event.status == STOPPED else event
        for event in instance.events
    )
    return instance._replace(events=events, status=ACTIVE, blocked=0)


def _answered(configuration: Configuration, state: State, instance: Instance) -> State:
    """Return the state after a command was stored. It wakes a runner if anything is left to run."""
    after = stored(configuration, state, instance)
    wakes = due_event(configuration, instance) is not None or is_scheduled(instance)
    return after._replace(wakeup=1) if wakes and configuration.wakeups else after


# Flags


def _flags(configuration: Configuration, state: State) -> Iterator[Step]:
    instance, budget = state.instance, state.budget
    if not state.flag and budget.pauses_of_flag:
        spent = budget._replace(pauses_of_flag=budget.pauses_of_flag - 1)
        yield unfair("the strategy is paused", state._replace(flag=1, job=0, budget=spent))
    if state.flag:
        runners = tuple(runner._replace(under_flag=0) for runner in state.runners)
        cleared = state._replace(flag=0, runners=runners)
        job = int(configuration.guards.release_job_with_flag)
        yield fair("the strategy is resumed, with its release job", cleared._replace(job=job))
    waits = instance.blocked and instance.lease == NO_LEASE and instance.status == ACTIVE
    if state.job and waits:
        free = stored(configuration, state, instance._replace(blocked=0))
        yield fair("the release job unblocks the instance", free)
    elif state.job and (instance.lease == NO_LEASE or not configuration.jobs_linger):
        # A job outlasts every claim that began before it: it ends after ten minutes without a blocked instance.
        yield fair("the release job ends", state._replace(job=0))


# Stores


def _outages(state: State) -> Iterator[Step]:
    if state.is_down:
        yield fair("the store can be used again", state._replace(is_down=0))
    elif state.budget.outages:
        spent = state.budget._replace(outages=state.budget.outages - 1)
        yield unfair("the store refuses every write", state._replace(is_down=1, budget=spent))


# Wakeups and the sweeper


def _wakeups(configuration: Configuration, state: State) -> Iterator[Step]:
    budget = state.budget
    index = next((n for n, runner in enumerate(state.runners) if runner.at == IDLE), None)
    if index is not None and state.wakeup:
        woken = state._replace(wakeup=0, runners=replaced(state.runners, index, Runner(at=CHECK)))
        yield fair("a wakeup arrives", woken)
    if index is not None and budget.extra_wakeups:
        spent = budget._replace(extra_wakeups=budget.extra_wakeups - 1)
        woken = state._replace(budget=spent, runners=replaced(state.runners, index, Runner(at=CHECK)))
        yield unfair("a wakeup arrives for no reason", woken)
    if state.wakeup and budget.lost_wakeups:
        spent = budget._replace(lost_wakeups=budget.lost_wakeups - 1)
        yield unfair("a wakeup is lost", state._replace(wakeup=0, budget=spent))
    if state.schedule and budget.lost_wakeups:
        spent = budget._replace(lost_wakeups=budget.lost_wakeups - 1)
        yield unfair("a schedule is lost", state._replace(schedule=0, budget=spent))
    if configuration.has_sweeper and configuration.guards.sweeper_runs:
        yield from _sweeper(configuration, state)


def _sweeper(configuration: Configuration, state: State) -> Iterator[Step]:
    """Yield the steps of a sweeper that reaches one entry in each sweep: the first one."""
    if state.sweeper == RESTING:
        if configuration.has_neighbour and state.neighbour == AT_HEAD:
            if configuration.guards.unreadable_moves_on:
                behind = state._replace(neighbour=BEHIND)
                yield fair("the sweeper moves the unreadable entry on", behind)
            return
        if _is_swept(configuration, state):
            loaded = state._replace(sweeper=MOVE_ON, sweeper_loaded=FRESH)
            yield fair("the sweeper loads the instance", loaded)
    elif state.sweeper == MOVE_ON:
        resting = state._replace(sweeper=RESTING, sweeper_loaded=NOT_LOADED)
        if state.sweeper_loaded == STALE:
            yield fair("the sweeper loses its race and leaves the entry", resting)
            return
        after = stored(configuration, resting, state.instance)
        moved = after._replace(sweeper=WAKE, instance=after.instance._replace(moved_on=1))
        yield fair("the sweeper moves the entry on", moved)
    else:
        woken = state._replace(sweeper=RESTING, wakeup=1)
        yield fair("the sweeper wakes a runner", woken)
    if state.sweeper != RESTING and state.budget.crashes:
        spent = state.budget._replace(crashes=state.budget.crashes - 1)
        gone = state._replace(sweeper=RESTING, sweeper_loaded=NOT_LOADED, budget=spent)
        yield unfair("the sweeper crashes", gone)
    if configuration.has_neighbour and state.neighbour == BEHIND and state.sweeper == RESTING:
        yield unfair("the unreadable entry is due again", state._replace(neighbour=AT_HEAD))


def _is_swept(configuration: Configuration, state: State) -> bool:
    instance = state.instance
    is_hidden = instance.moved_on or (instance.blocked and instance.lease == NO_LEASE)
    ends = configuration.guards.sweep_after_lease or instance.lease == NO_LEASE
    return not is_hidden and ends and due_event(configuration, instance) is not None
