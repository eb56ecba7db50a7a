"""One runner in one state, and the helpers that all of its steps need."""

from collections.abc import Iterator

from tests.model import laws
from tests.model.history import place
from tests.model.state import (
    ACTIVE,
    ADVANCE,
    CALL,
    CHECK,
    GIVE_BACK,
    IDLE_RUNNER,
    NO_LEASE,
    STOP,
    WAIT,
    Entry,
    Event,
    Instance,
    Runner,
    State,
    Step,
    event_of,
    fair,
    replaced,
    unfair,
)
from tests.model.world import (
    Configuration,
    holds,
    is_too_early,
)


class Acting:
    """One runner in one state."""

    __slots__ = ("configuration", "guards", "index", "runner", "state")

    def __init__(self, configuration: Configuration, state: State, index: int) -> None:
        self.configuration = configuration
        self.guards = configuration.guards
        self.state = state
        self.index = index
        self.runner = state.runners[index]

    def with_runner(self, runner: Runner, state: State | None = None) -> State:
        state = self.state if state is None else state
        return state._replace(runners=replaced(state.runners, self.index, runner))

    def again(self) -> Runner:
        """Return the runner before its next check of the instance."""
        return Runner(at=CHECK) if self.configuration.wakeups else IDLE_RUNNER

    def claimed_event(self) -> Event | None:
        return holds(self.state.instance, self.runner.event, self.runner.fence)

    def leased_event(self) -> Event | None:
        instance = self.state.instance
        is_leased = instance.lease != NO_LEASE and instance.running == self.runner.event
        return event_of(instance, self.runner.event) if is_leased else None

    def append(self, entry: Entry, visit: int) -> State:
        """Return the state after a journal entry is stored, unless one with a higher fence is there."""
        state, number = self.state, self.runner.event
        entries = state.journal[number]
        if not entries:
            return state  # the event is closed, and nothing reads its journal again
        index = place(self.runner.run, visit)
        if entries[index].fence > entry.fence and self.guards.journal_checks_fence:
            return state
        broken = laws.overwrites(entries[index], entry.fence)
        journal = replaced(state.journal, number, replaced(entries, index, entry))
        return state._replace(journal=journal, broken=broken)

    def without_reply(self, name: str, runner: Runner, after: State) -> Iterator[Step]:
        """Yield the same write with its reply lost: the runner does it once more."""
        budget = after.budget
        if budget.lost_replies:
            spent = after._replace(budget=budget._replace(lost_replies=budget.lost_replies - 1))
            yield unfair(name, self.with_runner(runner, spent))

    def unless_early(self, runner: Runner) -> Runner:
        """Return a runner that is about to call, or to leave its event if the call is delayed."""
        is_early = runner.at == CALL and is_too_early(self.configuration, self.state, runner.visit)
        return runner._replace(at=WAIT) if is_early else runner

    def unavailable(self) -> Iterator[Step]:
        """Wait for the store, or give the claim back."""
        runner = self.runner
        at = runner._replace(at=GIVE_BACK) if self.guards.claim_given_back else IDLE_RUNNER
        yield fair("cannot use the store and begins to give its claim back", self.with_runner(at))


def place_of(runner: Runner) -> Runner:
    """Return the runner at the next step of its run, or at its end."""
    return runner._replace(at=ADVANCE if runner.end else CALL)


def refreshed(runner: Runner, instance: Instance) -> Runner:
    """Return the runner after it has seen the instance, at its next step."""
    if runner.end:
        return runner._replace(at=ADVANCE)
    return runner._replace(at=CALL if instance.status == ACTIVE else STOP)
