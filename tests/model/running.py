"""The steps of a runner: from one access to a store or a service to the next (``shared/application/runner``)."""

from collections.abc import Callable, Iterator
from typing import Final

from tests.model import starting, stepping
from tests.model.acting import Acting
from tests.model.state import (
    ADVANCE,
    APPLY,
    BLOCK,
    CALL,
    CHECK,
    CLAIM,
    FLAG,
    GIVE_BACK,
    IDLE,
    IDLE_RUNNER,
    LOOK,
    PUT_RECORD,
    RECORD,
    REFENCE,
    STOP,
    UNBLOCK,
    WAIT,
    State,
    Step,
    unfair,
)
from tests.model.world import (
    Configuration,
)


def steps_of(configuration: Configuration, state: State, index: int) -> Iterator[Step]:
    """Yield the possible next steps of a runner."""
    me = Acting(configuration, state, index)
    yield from _STEPS[me.runner.at](me)
    budget = state.budget
    if me.runner.at != IDLE and budget.crashes:
        crashed = state._replace(budget=budget._replace(crashes=budget.crashes - 1))
        yield unfair("crashes", me.with_runner(IDLE_RUNNER, crashed))


_STEPS: Final[dict[int, Callable[[Acting], Iterator[Step]]]] = {
    IDLE: starting.start,
    CHECK: starting.check,
    CLAIM: starting.claim,
    FLAG: starting.read_flag,
    BLOCK: starting.block,
    UNBLOCK: starting.unblock,
    REFENCE: starting.refence,
    CALL: stepping.call,
    RECORD: stepping.record,
    APPLY: stepping.apply,
    LOOK: stepping.read_again,
    STOP: stepping.stop,
    PUT_RECORD: stepping.put_record,
    ADVANCE: stepping.advance,
    GIVE_BACK: stepping.give_back,
    WAIT: stepping.wait,
}
