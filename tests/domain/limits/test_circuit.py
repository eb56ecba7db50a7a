"""The circuit of an origin. Source: docs/decisions/0069."""

from datetime import timedelta
from typing import Final

import pytest

from shared.domain.limits.circuit import (
    MAX_OPEN,
    PROBE_MARGIN,
    after_answer,
    after_failure,
    circuit_of,
    opens,
)
from shared.domain.limits.grant import LATEST_USE, Demand, Grant, Join, Later, Permit, Take, grant
from shared.domain.limits.state import LimitChange, LimitState, Member, instant_of, micros_of
from shared.domain.strategy.model import Circuit, ServiceLimit
from tests.factories import NOON

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
NOW: Final = micros_of(NOON)
MICROS: Final = 1_000_000
"""A second in microseconds."""
FIVE = Circuit(failures=5, open_for=30 * SECOND)
PATIENCE, LASTS = 5 * SECOND, 60 * SECOND
PROBED_UNTIL = NOW + 70 * MICROS + 80_000
"""The end of a right to probe that is taken now: patience, time of use, the call, and the margin."""


def a_circuit(**members: int) -> LimitState:
    return LimitState(values={Member[name]: number for name, number in members.items()})


def failed(
    state: LimitState,
    circuit: Circuit | None = FIVE,
    *,
    seen: LimitState | None = None,
    at: timedelta = timedelta(),
) -> LimitState:
    """Return the state after a call that did not reach its service."""
    change = after_failure(state, state if seen is None else seen, circuit, now=NOON + at)
    return state if change is None else stored(change, state)


def answered(state: LimitState, *, seen: LimitState | None = None, at: timedelta = timedelta()) -> LimitState:
    """Return the state after a call that got an answer."""
    change = after_answer(state if seen is None else seen, now=NOON + at)
    return state if change is None else change.applied_to(state) or state


def stored(change: LimitChange, state: LimitState) -> LimitState:
    after = change.applied_to(state)
    assert after is not None
    return after


def ask(
    state: LimitState, *, per_second: int | None = None, lead: timedelta = timedelta(), probe: int = 0
) -> Grant:
    return grant(
        state,
        Demand(
            limit=ServiceLimit(per_second=per_second, circuit=FIVE),
            leased_until=NOON + PATIENCE,
            latest=NOON + 50 * SECOND,
            key="i-1",
            lasts=LASTS,
            lead=lead,
            probe=probe,
        ),
        now=NOON,
    )


def probing(state: LimitState, **demands: int) -> tuple[Permit, LimitState]:
    """Take the right to probe. Return it, and the state afterwards."""
    decided = ask(state, **demands)  # type: ignore[arg-type]
    assert isinstance(decided, Take)
    return decided.taken_from(state), stored(decided.change, state)


OPEN = a_circuit(OPEN_UNTIL=NOW + 30 * MICROS, OPEN_FOR=30 * MICROS, FAILURES=5, OPENS_AFTER=5)
OVER = a_circuit(OPEN_UNTIL=NOW, OPEN_FOR=30 * MICROS, FAILURES=5, OPENS_AFTER=5)
"""A circuit that is open for the next thirty seconds, and one that may be probed."""


class TestFailures:
    """A circuit opens after so many calls in a row that did not reach the service."""

    def test_failures_are_counted(self) -> None:
        state = LimitState()
        for number in (1, 2, 3, 4):
            state = failed(state)
            assert state == a_circuit(FAILURES=number, OPENS_AFTER=5, OPEN_FOR=30 * MICROS)

    def test_the_last_one_opens_the_circuit(self) -> None:
        before = a_circuit(FAILURES=4, OPENS_AFTER=5, OPEN_FOR=30 * MICROS)
        change = after_failure(before, before, FIVE, now=NOON)

        assert change is not None
        assert opens(change)
        assert stored(change, before) == OPEN

    @pytest.mark.parametrize("failures", [1, 2, 3, 100])
    def test_it_opens_at_exactly_that_number(self, failures: int) -> None:
        circuit, state = Circuit(failures=failures, open_for=SECOND), LimitState()
        for _ in range(failures - 1):
            state = failed(state, circuit)
        assert state[Member.OPEN_UNTIL] == 0

        state = failed(state, circuit)
        assert state[Member.OPEN_UNTIL] == NOW + MICROS

    def test_failures_at_the_same_time_are_all_counted(self) -> None:
        state = LimitState()
        first = after_failure(state, state, FIVE, now=NOON)
        assert first is not None
        state = stored(first, state)
        second = after_failure(state, state, FIVE, now=NOON)
        assert second is not None

        for _ in range(3):
            state = stored(second, state)
        assert state[Member.FAILURES] == 4
        # The one that opens the circuit is decided on the state as it is.
        assert second.applied_to(state) is None

    def test_two_runners_do_not_both_open_it(self) -> None:
        before = a_circuit(FAILURES=4, OPENS_AFTER=5, OPEN_FOR=30 * MICROS)
        change = after_failure(before, before, FIVE, now=NOON)
        assert change is not None

        assert change.applied_to(stored(change, before)) is None

    def test_a_service_without_a_circuit_counts_none(self) -> None:
        assert after_failure(LimitState(), LimitState(), None, now=NOON) is None
        counted = a_circuit(FAILURES=4, OPENS_AFTER=5, OPEN_FOR=30 * MICROS)
        assert after_failure(counted, counted, None, now=NOON) is None

    def test_a_failure_that_was_decided_before_an_answer_opens_nothing(self) -> None:
        before = a_circuit(FAILURES=4, OPENS_AFTER=5, OPEN_FOR=30 * MICROS)
        change = after_failure(before, before, FIVE, now=NOON)
        assert change is not None

        assert change.applied_to(answered(before)) is None


class TestAnswers:
    """Any answer ends the count of failures. It is only stored if there was one."""

    @pytest.mark.parametrize("state", [LimitState(), a_circuit(OPENS_AFTER=5)])
    def test_without_failures_nothing_is_stored(self, state: LimitState) -> None:
        assert after_answer(state, now=NOON) is None

    @pytest.mark.parametrize("failures", [1, 4])
    def test_an_answer_ends_the_count(self, failures: int) -> None:
        counted = a_circuit(FAILURES=failures, OPENS_AFTER=5, OPEN_FOR=30 * MICROS)

        assert circuit_of(answered(counted)) == LimitState()

    def test_of_many_answers_one_is_stored(self) -> None:
        counted = a_circuit(FAILURES=1, OPENS_AFTER=5, OPEN_FOR=30 * MICROS)
        change = after_answer(counted, now=NOON)
        assert change is not None

        assert change.applied_to(stored(change, counted)) is None

    def test_after_an_answer_it_takes_as_many_failures_again(self) -> None:
        state = LimitState()
        for _ in range(4):
            state = failed(state)
        state = answered(state)
        for _ in range(4):
            state = failed(state)

        assert (state[Member.FAILURES], state[Member.OPEN_UNTIL]) == (4, 0)

    def test_other_numbers_of_the_state_stay(self) -> None:
        counted = a_circuit(FAILURES=1, OPENS_AFTER=5, OPEN_FOR=1, NEXT_AT=7, PER_SECOND=9)

        assert answered(counted)[Member.NEXT_AT] == 7
        assert answered(counted)[Member.PER_SECOND] == 9


class TestTheStrictest:
    """Of the circuits that the failed calls of a row state, the fewest failures count, and the longest time."""

    STRICT = Circuit(failures=2, open_for=SECOND)
    LOOSE = Circuit(failures=9, open_for=MINUTE)

    @pytest.mark.parametrize(("first", "second"), [(STRICT, LOOSE), (LOOSE, STRICT)])
    def test_whichever_states_its_own_first(self, first: Circuit, second: Circuit) -> None:
        state = failed(LimitState(), first)
        assert state[Member.OPEN_UNTIL] == 0

        state = failed(state, second)
        assert state[Member.OPEN_UNTIL] == NOW + 60 * MICROS

    def test_an_answer_ends_what_was_stated(self) -> None:
        state = answered(failed(LimitState(), self.STRICT))
        for _ in range(8):
            state = failed(state, self.LOOSE)

        assert (state[Member.FAILURES], state[Member.OPEN_UNTIL]) == (8, 0)

    def test_one_that_was_stated_meanwhile_is_not_missed(self) -> None:
        before = failed(LimitState(), self.LOOSE)
        loose = after_failure(before, before, self.LOOSE, now=NOON)
        assert loose is not None
        stricter = failed(before, Circuit(failures=4, open_for=SECOND))

        assert loose.applied_to(stricter) is None


class TestWaiting:
    """While the circuit is open, calls wait as for the end of a slow-down. No permit is granted before."""

    def test_without_a_rate_the_calls_return_spread(self) -> None:
        wait = ask(OPEN)

        assert isinstance(wait, Later)
        assert NOON + 30 * SECOND < wait.until <= NOON + 40 * SECOND

    def test_under_a_rate_they_join_the_line(self) -> None:
        decided = ask(OPEN, per_second=100)

        assert isinstance(decided, Join)
        assert decided.wait_after(OPEN) == Later(until=NOON + 28 * SECOND)

    @pytest.mark.parametrize("per_second", [None, 100])
    def test_a_service_without_a_circuit_waits_too(self, per_second: int | None) -> None:
        demand = Demand(
            limit=ServiceLimit(per_second=per_second),
            leased_until=NOON + PATIENCE,
            latest=NOON + PATIENCE,
            key="i-1",
            lasts=LASTS,
        )
        assert isinstance(grant(OPEN, demand, now=NOON), Later | Join)

    def test_the_later_end_counts(self) -> None:
        slowed = LimitState(values={**OVER.values, Member.NOT_BEFORE: NOW + 60 * MICROS})
        wait = ask(slowed)
        assert isinstance(wait, Later)
        assert wait.until > NOON + 60 * SECOND

    @pytest.mark.parametrize("next_at", [NOW, NOW + 1])
    def test_a_permit_that_is_decided_before_the_opening_is_not_taken(self, next_at: int) -> None:
        decided = ask(a_circuit(NEXT_AT=next_at), per_second=100)
        assert isinstance(decided, Take)

        assert decided.change.applied_to(LimitState(values={**OPEN.values, Member.NEXT_AT: next_at})) is None


class TestAProbe:
    """When the circuit was open for its time, one call is allowed. The others wait for its outcome."""

    @pytest.mark.parametrize("ago", [0, 1, 3600 * MICROS])
    def test_the_first_call_takes_the_right(self, ago: int) -> None:
        before = LimitState(values={**OVER.values, Member.OPEN_UNTIL: NOW - ago})
        permit, after = probing(before)

        assert (permit.start, permit.until) == (NOON, NOON + PATIENCE + LATEST_USE)
        assert permit.is_probe
        assert permit.circuit == circuit_of(after)
        assert after == LimitState(values={**OVER.values, Member.OPEN_UNTIL: PROBED_UNTIL})

    def test_the_right_outlasts_the_wait_and_the_call(self) -> None:
        _, after = probing(OVER)

        assert instant_of(after[Member.OPEN_UNTIL]) == NOON + PATIENCE + LATEST_USE + LASTS + PROBE_MARGIN

    def test_it_takes_a_permit_of_the_rate_with_it(self) -> None:
        permit, after = probing(OVER, per_second=100)

        assert (permit.start, permit.until) == (NOON, NOON + LATEST_USE)
        assert after[Member.NEXT_AT] == NOW + 11_000
        assert after[Member.OPEN_UNTIL] == PROBED_UNTIL

    def test_the_permit_may_be_the_next_of_the_queue(self) -> None:
        before = LimitState(values={**OVER.values, Member.NEXT_AT: NOW + MICROS})
        permit, after = probing(before, per_second=100)

        assert (permit.start, permit.is_probe) == (NOON + SECOND, True)
        assert after[Member.OPEN_UNTIL] == PROBED_UNTIL

    @pytest.mark.parametrize("per_second", [None, 100])
    def test_two_runners_do_not_both_take_it(self, per_second: int | None) -> None:
        decided = ask(OVER, per_second=per_second)
        assert isinstance(decided, Take)
        after = stored(decided.change, OVER)

        assert decided.change.applied_to(after) is None
        assert isinstance(ask(after, per_second=per_second), Later | Join)

    @pytest.mark.parametrize(("ahead", "is_taken"), [(5 * MICROS, True), (5 * MICROS + 1, False)])
    @pytest.mark.parametrize("per_second", [None, 100])
    def test_it_is_taken_while_the_runner_can_wait_under_its_lease(
        self, ahead: int, is_taken: object, per_second: int | None
    ) -> None:
        before = LimitState(values={**OVER.values, Member.OPEN_UNTIL: NOW + ahead})
        decided = ask(before, per_second=per_second)

        assert isinstance(decided, Take) is is_taken
        if isinstance(decided, Take):
            assert decided.taken_from(before).start == NOON + 5 * SECOND

    def test_it_is_not_taken_with_a_permit_for_which_the_event_waits_without_a_lease(self) -> None:
        before = LimitState(values={**OVER.values, Member.NEXT_AT: NOW + 6 * MICROS})
        assert isinstance(ask(before, per_second=100), Join)
        closed = a_circuit(NEXT_AT=NOW + 6 * MICROS)
        assert isinstance(ask(closed, per_second=100), Take)

    def test_the_right_passes_if_its_runner_crashes(self) -> None:
        _, after = probing(OVER)
        passed = LimitState(values={**after.values, Member.OPEN_UNTIL: NOW})

        permit, _ = probing(passed)
        assert permit.is_probe

    @pytest.mark.parametrize("per_second", [None, 100])
    def test_its_runner_may_take_it_again(self, per_second: int | None) -> None:
        permit, after = probing(OVER, per_second=per_second)  # type: ignore[arg-type]
        again = ask(after, per_second=per_second, probe=permit.circuit[Member.OPEN_UNTIL])

        assert isinstance(again, Take)
        assert again.taken_from(after).is_probe

    def test_a_slow_down_meanwhile_keeps_it_from_being_taken(self) -> None:
        decided = ask(OVER)
        assert isinstance(decided, Take)

        slowed = LimitState(values={**OVER.values, Member.NOT_BEFORE: NOW + 1})
        assert decided.change.applied_to(slowed) is None

    def test_a_call_under_a_closed_circuit_is_no_probe(self) -> None:
        permit = ask(LimitState())
        assert isinstance(permit, Permit)
        assert not permit.is_probe
        assert permit.circuit == LimitState()

    def test_a_permit_knows_how_many_calls_have_failed(self) -> None:
        counted = a_circuit(FAILURES=3, OPENS_AFTER=5, OPEN_FOR=30 * MICROS)
        permit = ask(counted)
        assert isinstance(permit, Permit)
        assert permit.circuit == counted
        taken = ask(counted, per_second=100)
        assert isinstance(taken, Take)
        assert taken.taken_from(counted).circuit == counted


class TestTheOutcomeOfAProbe:
    """An answer closes the circuit, and a failure opens it for twice as long, fifteen minutes at most."""

    def test_an_answer_closes_it(self) -> None:
        permit, after = probing(OVER, per_second=100)

        closed = answered(after, seen=permit.circuit)
        assert circuit_of(closed) == LimitState()
        following = ask(closed, per_second=100)
        assert isinstance(following, Take)
        assert not following.taken_from(closed).is_probe

    def test_a_failure_opens_it_for_twice_as_long(self) -> None:
        permit, after = probing(OVER)

        opened = failed(after, seen=permit.circuit, at=SECOND)
        assert opened[Member.OPEN_UNTIL] == NOW + 61 * MICROS
        assert opened[Member.OPEN_FOR] == 60 * MICROS

    @pytest.mark.parametrize(
        ("was", "circuit", "becomes"),
        [
            (30, FIVE, 60),
            (30, None, 60),
            (30, Circuit(failures=1, open_for=2 * MINUTE), 120),
            (240, FIVE, 480),
            (449, FIVE, 898),
            (450, FIVE, 900),
            (451, FIVE, 900),
            (900, FIVE, 900),
            (900, None, 900),
        ],
    )
    def test_the_time_doubles_up_to_fifteen_minutes(
        self, was: int, circuit: Circuit | None, becomes: int
    ) -> None:
        before = LimitState(values={**OVER.values, Member.OPEN_FOR: was * MICROS})
        permit, after = probing(before)

        change = after_failure(after, permit.circuit, circuit, now=NOON)
        assert change is not None
        assert opens(change)
        assert stored(change, after)[Member.OPEN_UNTIL] == NOW + becomes * MICROS
        assert timedelta(seconds=becomes) <= MAX_OPEN

    def test_after_an_answer_it_begins_with_the_shortest_time_again(self) -> None:
        permit, after = probing(LimitState(values={**OVER.values, Member.OPEN_FOR: 900 * MICROS}))
        state = answered(after, seen=permit.circuit)
        for _ in range(5):
            state = failed(state)

        assert state[Member.OPEN_UNTIL] == NOW + 30 * MICROS


class TestLateOutcomes:
    """An outcome counts only if the circuit is as it was when the call was allowed."""

    BEFORE = a_circuit(FAILURES=4, OPENS_AFTER=5, OPEN_FOR=30 * MICROS)

    def test_a_failure_of_a_call_that_was_in_flight_when_the_circuit_opened(self) -> None:
        assert after_failure(OPEN, self.BEFORE, FIVE, now=NOON + SECOND) is None

    def test_an_answer_to_one(self) -> None:
        assert answered(OPEN, seen=self.BEFORE) == OPEN

    def test_outcomes_of_a_probe_whose_right_has_passed_to_another_one(self) -> None:
        permit, after = probing(OVER)
        other = LimitState(values={**after.values, Member.OPEN_UNTIL: after[Member.OPEN_UNTIL] + 1})

        assert answered(other, seen=permit.circuit) == other
        assert failed(other, seen=permit.circuit) == other

    def test_a_failure_of_a_probe_after_the_circuit_was_closed(self) -> None:
        permit, _ = probing(OVER)

        assert failed(LimitState(), seen=permit.circuit) == LimitState()

    def test_a_probe_that_ends_after_its_right_has_passed_counts_if_no_other_has_begun(self) -> None:
        permit, after = probing(OVER)

        assert circuit_of(answered(after, seen=permit.circuit, at=timedelta(hours=1))) == LimitState()
        assert failed(after, seen=permit.circuit, at=timedelta(hours=1))[Member.OPEN_UNTIL] > PROBED_UNTIL


def test_a_change_of_one_circuit_keeps_the_permits_of_another_runner() -> None:
    """Outcomes change no number of the rate, so they commute with permits."""
    change = after_failure(LimitState(), LimitState(), FIVE, now=NOON)
    assert change is not None
    taken = a_circuit(NEXT_AT=NOW + 5, PER_SECOND=100, STATED_AT=NOW)

    after = stored(change, taken)
    assert {member: after[member] for member in taken.values} == taken.values
