"""The search: every state that can be reached, breadth first, and those from which the end cannot be reached."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from tests.model import laws
from tests.model.state import (
    IDLE,
    IDLE_RUNNER,
    LAST_STEP,
    NO_ENTRY,
    READY,
    STOPPED,
    WAITING,
    Closed,
    Event,
    Instance,
    Record,
    Runner,
    Seen,
    State,
)
from tests.model.surroundings import steps
from tests.model.world import Configuration

STUCK = "the end can be reached without a further fault or command"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """The invariant that is broken, and a shortest sequence of steps that breaks it."""

    invariant: str
    trace: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"broken: {self.invariant}",
            *(f"{n:3} {name}" for n, name in enumerate(self.trace, start=1)),
        ]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The result of a search. ``counterexample`` is None if no invariant is broken."""

    states: int
    transitions: int
    counterexample: Counterexample | None


def initial(configuration: Configuration) -> State:
    """Return the state in which every event is still to run and nothing has happened."""
    later = STOPPED if configuration.has_waiting_event else WAITING if configuration.dates_ahead else READY
    events = tuple(Event(later if number else READY, number) for number in range(configuration.events))
    return State(
        instance=Instance(events=events),
        journal=tuple((NO_ENTRY,) * (LAST_STEP * configuration.runs) for _ in events),
        records=(Record(),) * configuration.events,
        runners=(IDLE_RUNNER,) * configuration.runners,
        budget=configuration.budget,
        seen=(Seen(),) * configuration.events,
        wakeup=int(configuration.wakeups),
    )


def search(configuration: Configuration, *, limit: int = 50_000_000) -> Found:
    """Visit every state, and return the first invariant that is broken, with a shortest trace.

    Raises: RuntimeError: there are more than ``limit`` states.
    """
    start = initial(configuration)
    numbers = {start: 0}
    states, parents = [start], array("l", [-1])
    # The fair steps, as pairs of numbers of states.
    sources, targets = array("l"), array("l")
    transitions, goals = 0, array("l")
    index = 0
    while index < len(states):
        state = states[index]
        if _is_end(state):
            goals.append(index)
        for name, is_fair, after in steps(configuration, state):
            transitions += 1
            reached = canonical(after)
            number = numbers.get(reached)
            if number is None:
                number = len(states)
                numbers[reached] = number
                states.append(reached)
                parents.append(index)
            # Every step, also one to a state that is known: the invariants compare the states before and after it.
            broken = reached.broken or laws.changes(configuration, state, after)
            if broken:
                trace = (*_trace(configuration, states, parents, index), name)
                return Found(
                    states=len(states),
                    transitions=transitions,
                    counterexample=Counterexample(invariant=broken, trace=trace),
                )
            if is_fair:
                sources.append(index)
                targets.append(number)
        index += 1
        if len(states) > limit:
            raise RuntimeError(f"{configuration.name} has more than {limit} states")
    stuck = _first_stuck(len(states), sources, targets, goals)
    counterexample = None
    if stuck is not None:
        counterexample = Counterexample(invariant=STUCK, trace=_trace(configuration, states, parents, stuck))
    return Found(states=len(states), transitions=transitions, counterexample=counterexample)


def canonical(state: State) -> State:
    """Return the state with its runners in a fixed order. They differ in nothing but their fields."""
    runners = tuple(sorted(state.runners, key=_numbers))
    return state if runners == state.runners else state._replace(runners=runners)


def _numbers(runner: Runner) -> tuple[object, ...]:
    """Return the fields of a runner that can be compared: all but the last two, which may be None."""
    return runner[:-2]


def _is_end(state: State) -> bool:
    """Return whether every event has closed, and no runner is at work."""
    return all(isinstance(event, Closed) for event in state.instance.events) and all(
        runner.at == IDLE for runner in state.runners
    )


def _first_stuck(
    count: int, sources: "array[int]", targets: "array[int]", goals: Iterable[int]
) -> int | None:
    """Return the first state from which no fair steps lead to an end, or None."""
    # The steps that lead to each state, as one array of sources with an offset for each target.
    offsets = array("l", bytes(8 * (count + 1)))
    for target in targets:
        offsets[target + 1] += 1
    for index in range(count):
        offsets[index + 1] += offsets[index]
    places, before = array("l", offsets), array("l", bytes(8 * len(sources)))
    for source, target in zip(sources, targets, strict=True):
        before[places[target]] = source
        places[target] += 1
    reaches, waiting = bytearray(count), list(goals)
    for goal in waiting:
        reaches[goal] = 1
    while waiting:
        state = waiting.pop()
        for source in before[offsets[state] : offsets[state + 1]]:
            if not reaches[source]:
                reaches[source] = 1
                waiting.append(source)
    stuck = reaches.find(0)
    return None if stuck < 0 else stuck


def _trace(
    configuration: Configuration, states: list[State], parents: "array[int]", number: int
) -> tuple[str, ...]:
    names: list[str] = []
    while parents[number] >= 0:
        parent, reached = parents[number], states[number]
        names.append(
            next(
                step.name for step in steps(configuration, states[parent]) if canonical(step.after) == reached
            )
        )
        number = parent
    return tuple(reversed(names))
