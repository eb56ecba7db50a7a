from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.domain.instance.due import spread
from shared.domain.limits.grant import (
    ASK_AGAIN,
    LATEST_USE,
    MAX_WAIT_FOR_SLOT,
    RETURN_EARLY,
    SHORTEST_WAIT_FOR_SLOT,
    Busy,
    Demand,
    Grant,
    Join,
    Later,
    Permit,
    Take,
    grant,
)
from shared.domain.limits.slots import KEPT_FOR_MORE, SLOT_MARGIN, Slot, free, is_moved_on, slots_taken
from shared.domain.limits.state import LimitState, Member, instant_of, micros_of, slot_name
from shared.domain.limits.stated import STATED_FOR
from shared.domain.strategy.model import Circuit, ServiceLimit
from tests.factories import NOON

SECOND = timedelta(seconds=1)
NOW = micros_of(NOON)
PATIENCE, LASTS = 5 * SECOND, 60 * SECOND
ENDS = NOON + PATIENCE + LATEST_USE + LASTS + SLOT_MARGIN
"""When a slot has to last at least."""
OWN = spread("i-1") * SECOND
"""How much later a slot of this instance passes than others that were taken in the same millisecond."""
TAKEN = micros_of(ENDS + KEPT_FOR_MORE + OWN)
"""The number of a slot that the instance took at noon."""


def a_state(*slots: int, **members: int) -> LimitState:
    """Return a state of two slots, a limit that was just stated. ``slots`` are the numbers of the first ones."""
    numbers = {"CONCURRENT": 2, "CONCURRENT_AT": NOW, **members}
    names: dict[str, int] = {Member[name]: number for name, number in numbers.items()}
    return LimitState(values={**names, **{slot_name(at): until for at, until in enumerate(slots)}})


def ask(
    state: LimitState,
    *,
    limit: ServiceLimit | None = None,
    own: Slot | None = None,
    patience: timedelta = PATIENCE,
    yields: bool = False,
    key: str = "i-1",
    after: timedelta = timedelta(),
) -> Grant:
    """Ask for a call under a limit of two, some time after noon."""
    now = NOON + after
    demand = Demand(
        limit=limit or ServiceLimit(concurrent=2),
        leased_until=now + patience,
        latest=now + 50 * SECOND,
        key=key,
        lasts=LASTS,
        slot=own,
        yields=yields,
    )
    return grant(state, demand, now=now)


def take(state: LimitState, decided: Grant) -> tuple[Permit, LimitState]:
    """Store the change of a decision that takes a slot."""
    assert isinstance(decided, Take)
    after = decided.change.applied_to(state)
    assert after is not None
    return decided.taken_from(state), after


class TestAFreeSlot:
    """A call takes a free slot, and may be sent as long as the lease allows."""

    def test_the_first_call(self) -> None:
        permit, after = take(LimitState(), ask(LimitState()))

        assert permit.slot is not None
        assert (permit.start, permit.until) == (NOON, NOON + PATIENCE + LATEST_USE)
        assert permit.slot == Slot(number=permit.slot.number, until=TAKEN, since=NOON, taken_for=0)
        assert after.values == {
            Member.CONCURRENT: 2,
            Member.CONCURRENT_AT: NOW,
            slot_name(permit.slot.number): TAKEN,
        }

    @pytest.mark.parametrize("other", [0, 1])
    def test_the_one_that_is_left(self, other: int) -> None:
        slots = [0, 0]
        slots[1 - other] = TAKEN
        permit, after = take(a_state(*slots), ask(a_state(*slots)))

        assert permit.slot is not None
        assert permit.slot.number == other
        assert slots_taken(after, now=NOON) == 2

    @pytest.mark.parametrize("until", [0, NOW - 1, NOW])
    def test_one_that_has_passed(self, until: int) -> None:
        before = a_state(TAKEN, until)
        permit, _ = take(before, ask(before))

        assert permit.slot is not None
        assert permit.slot.number == 1

    def test_two_runners_do_not_get_the_same(self) -> None:
        before = a_state(TAKEN)
        _, after = take(before, ask(before))
        second = ask(before, key="i-2")

        assert isinstance(second, Take)
        assert second.change.applied_to(after) is None

    def test_runners_choose_different_ones(self) -> None:
        limit = ServiceLimit(concurrent=10)
        keys = [f"i-{number}" for number in range(200)]
        chosen = [take(LimitState(), ask(LimitState(), limit=limit, key=key))[0].slot for key in keys]

        assert {slot.number for slot in chosen if slot is not None} == set(range(10))

    def test_the_longest_lease_counts_for_how_long_it_lasts(self) -> None:
        permit, _ = take(LimitState(), ask(LimitState(), patience=timedelta()))

        assert permit.slot is not None
        assert instant_of(permit.slot.until) == NOON + LATEST_USE + LASTS + SLOT_MARGIN + KEPT_FOR_MORE + OWN
        assert permit.until == NOON + LATEST_USE


class TestNoFreeSlot:
    """If all are taken, a runner looks again under its lease. If that is too short, its event joins the line."""

    FULL = a_state(TAKEN, TAKEN)

    def test_a_runner_looks_again(self) -> None:
        decided = ask(self.FULL)

        assert isinstance(decided, Busy)
        assert ASK_AGAIN * 0.5 <= decided.again - NOON < ASK_AGAIN * 1.5

    def test_runners_ask_at_different_times(self) -> None:
        decided = [ask(self.FULL, key=f"i-{number}") for number in range(20)]

        assert len({each.again for each in decided if isinstance(each, Busy)}) == 20

    @pytest.mark.parametrize("patience", [timedelta(), ASK_AGAIN / 4])
    def test_an_event_waits_without_a_runner(self, patience: timedelta) -> None:
        decided = ask(self.FULL, patience=patience)

        assert isinstance(decided, Join)
        after = decided.change.applied_to(self.FULL)
        assert after is not None
        assert decided.wait_after(self.FULL) == Later(until=NOON + SHORTEST_WAIT_FOR_SLOT)
        # Nothing is known yet: a slot is taken to become free every 25 milliseconds.
        assert after[Member.LINE_AT] == micros_of(NOON + patience) + 25_000

    def test_the_line_is_as_fast_as_slots_are_returned(self) -> None:
        before = a_state(TAKEN, TAKEN, TAKEN_FOR=3_000_000, LINE_AT=NOW + 19_000_000)
        decided = ask(before, patience=timedelta())

        assert isinstance(decided, Join)
        after = decided.change.applied_to(before)
        assert after is not None
        assert after[Member.LINE_AT] == NOW + 19_000_000 + 1_500_000
        assert decided.wait_after(before) == Later(until=NOON + 19 * SECOND - RETURN_EARLY)

    def test_no_wait_is_longer_than_some_minutes(self) -> None:
        """After an outage the average is that of calls without an answer."""
        before = a_state(TAKEN, TAKEN, TAKEN_FOR=30_000_000, LINE_AT=NOW + 6_000_000_000)
        waits = [ask(before, patience=timedelta(), key=f"i-{number}") for number in range(20)]
        ends = [each.until for each in waits if isinstance(each, Later)]

        assert len(set(ends)) == 20
        assert all(MAX_WAIT_FOR_SLOT / 2 <= end - NOON < MAX_WAIT_FOR_SLOT for end in ends)

    def test_the_line_is_never_longer_than_that(self) -> None:
        state, waits = a_state(TAKEN, TAKEN, TAKEN_FOR=10_000_000), list[Later]()
        for number in range(600):
            decided = ask(state, patience=timedelta(), key=f"i-{number}")
            assert isinstance(decided, Join | Later)
            if isinstance(decided, Join):
                after = decided.change.applied_to(state)
                assert after is not None
                waits.append(decided.wait_after(state))
                state = after
            else:
                waits.append(decided)

        assert instant_of(state[Member.LINE_AT]) <= NOON + MAX_WAIT_FOR_SLOT + 10 * SECOND
        assert max(wait.until for wait in waits) < NOON + MAX_WAIT_FOR_SLOT

    def test_a_call_that_waits_for_its_permit_does_not_wait_for_the_line_of_slots(self) -> None:
        far = NOW + 36_000_000_000
        before = a_state(LINE_AT=far, NEXT_AT=NOW + 6_000_000, PER_SECOND=1, STATED_AT=NOW)
        decided = ask(before, limit=ServiceLimit(concurrent=2, per_second=1))

        assert isinstance(decided, Join)
        assert decided.wait_after(before).until == NOON + 6 * SECOND + MAX_WAIT_FOR_SLOT

    def test_two_instances_hardly_take_a_slot_by_the_same_number(self) -> None:
        keys = [f"i-{number}" for number in range(1000)]
        slots = [take(LimitState(), ask(LimitState(), key=key))[0].slot for key in keys]

        assert len({slot.until for slot in slots if slot is not None}) >= 995

    def test_whoever_joins_the_line_takes_no_slot(self) -> None:
        for state in (self.FULL, a_state(TAKEN)):
            decided = ask(state, yields=True, patience=timedelta())

            assert isinstance(decided, Join)
            after = decided.change.applied_to(state)
            assert after is not None
            assert slots_taken(after, now=NOON) == slots_taken(state, now=NOON)
            assert after[Member.LINE_AT] > NOW

    def test_a_run_that_has_a_slot_does_not_wait_for_one(self) -> None:
        own = Slot(number=0, until=TAKEN, since=NOON, taken_for=0)

        assert isinstance(ask(a_state(TAKEN), yields=True, own=own), Permit)

    def test_a_runner_that_has_lost_a_race_waits(self) -> None:
        assert isinstance(ask(a_state(TAKEN), yields=True), Busy)
        assert isinstance(ask(a_state(TAKEN), yields=True, patience=timedelta()), Join)
        rated = ServiceLimit(concurrent=2, per_second=5)
        assert isinstance(ask(a_state(TAKEN), yields=True, limit=rated), Busy)

    def test_its_end_frees_it(self) -> None:
        decided = ask(self.FULL, after=instant_of(TAKEN) - NOON)

        assert isinstance(decided, Take)


class TestARunSlot:
    """The slot of a run serves its next calls: for ten seconds as it is, later by moving it on."""

    def first(self) -> tuple[Slot, LimitState]:
        permit, state = take(LimitState(), ask(LimitState()))
        assert permit.slot is not None
        return permit.slot, state

    @pytest.mark.parametrize("after", [timedelta(), SECOND, KEPT_FOR_MORE, KEPT_FOR_MORE + OWN])
    def test_it_is_used_again_without_a_write(self, after: timedelta) -> None:
        slot, state = self.first()
        decided = ask(state, own=slot, after=after)

        assert decided == Permit(start=NOON + after, until=NOON + after + PATIENCE + LATEST_USE, slot=slot)

    def test_a_clock_that_is_ahead_does_not_end_it_during_its_call(self) -> None:
        slot, state = self.first()
        again = ask(state, own=slot, after=KEPT_FOR_MORE + OWN)
        assert isinstance(again, Permit)
        call_ends = again.until + LASTS - NOON
        alone = ServiceLimit(concurrent=1)
        state = LimitState(values={slot_name(0): slot.until})

        assert isinstance(ask(state, limit=alone, after=call_ends + 4.999 * SECOND), Busy)
        assert isinstance(ask(state, limit=alone, after=call_ends + 5 * SECOND), Take)

    def test_it_is_moved_on(self) -> None:
        slot, state = self.first()
        after = KEPT_FOR_MORE + OWN + timedelta(milliseconds=1)
        permit, moved = take(state, ask(state, own=slot, after=after))

        assert permit.slot is not None
        assert (permit.slot.number, permit.slot.since) == (slot.number, NOON)
        assert permit.slot.until == TAKEN + micros_of(NOON + after) - NOW
        assert slots_taken(moved, now=NOON + after) == 1

    def test_one_that_has_passed_and_was_taken_is_lost(self) -> None:
        long_after = 300 * SECOND
        others = micros_of(NOON + long_after) + 1
        own = Slot(number=0, until=TAKEN, since=NOON, taken_for=0)

        permit, _ = take(a_state(others), ask(a_state(others), own=own, after=long_after))
        assert permit.slot is not None
        assert permit.slot.number == 1
        assert isinstance(ask(a_state(others, others), own=own, after=long_after), Busy)

    def test_one_that_is_lost_meanwhile_is_not_moved_on(self) -> None:
        slot, state = self.first()
        decided = ask(state, own=slot, after=300 * SECOND)

        assert isinstance(decided, Take)
        others = LimitState(values={**state.values, slot.name: TAKEN + 1})
        assert decided.change.applied_to(others) is None

    def test_a_move_whose_reply_was_lost_is_its_own(self) -> None:
        slot, state = self.first()
        after = KEPT_FOR_MORE + OWN + timedelta(milliseconds=1)
        permit, moved = take(state, ask(state, own=slot, after=after))
        again = permit.slot
        assert again is not None

        assert is_moved_on(slot, again, moved, now=NOON + after)
        assert not is_moved_on(slot, again, state, now=NOON + after)
        assert not is_moved_on(None, again, moved, now=NOON + after)
        assert not is_moved_on(replace(slot, number=slot.number + 1), again, moved, now=NOON + after)
        # Near its end another runner may have taken it, by the same number.
        ends = instant_of(slot.until) - SLOT_MARGIN
        assert not is_moved_on(slot, again, moved, now=ends)
        assert is_moved_on(slot, again, moved, now=ends - timedelta(milliseconds=1))

    def test_it_is_kept_if_the_limit_was_lowered(self) -> None:
        own = Slot(number=7, until=TAKEN, since=NOON, taken_for=0)
        lowered = a_state(TAKEN, TAKEN)
        state = LimitState(values={**lowered.values, own.name: TAKEN})

        assert ask(state, own=own) == Permit(start=NOON, until=NOON + PATIENCE + LATEST_USE, slot=own)


class TestTheStrictest:
    """The strictest number counts that was stated within an hour."""

    @pytest.mark.parametrize("own", [None, 3, 100])
    def test_a_stricter_one_of_others_counts(self, own: int | None) -> None:
        assert isinstance(ask(a_state(TAKEN, TAKEN), limit=ServiceLimit(concurrent=own)), Busy)

    def test_a_stricter_one_is_stated(self) -> None:
        before = a_state(0, 0)
        _, after = take(before, ask(before, limit=ServiceLimit(concurrent=1)))

        assert after[Member.CONCURRENT] == 1
        assert after[slot_name(0)] == TAKEN

    def test_one_that_was_not_stated_for_an_hour_ends(self) -> None:
        old = micros_of(NOON - STATED_FOR)
        before = a_state(TAKEN, TAKEN, CONCURRENT_AT=old)

        assert isinstance(ask(before, limit=ServiceLimit(concurrent=3)), Take)
        assert isinstance(ask(before, limit=ServiceLimit()), Permit)

    def test_a_change_of_it_meanwhile_is_noticed(self) -> None:
        decided = ask(a_state(TAKEN), limit=ServiceLimit(concurrent=2))

        assert isinstance(decided, Take)
        assert decided.change.applied_to(a_state(TAKEN, CONCURRENT=1)) is None


class TestWithTheRestOfALimit:
    """A slot is taken together with a permit and a right to probe, by one write."""

    BOTH = ServiceLimit(concurrent=2, per_second=100)

    def test_with_a_rate(self) -> None:
        permit, after = take(LimitState(), ask(LimitState(), limit=self.BOTH))

        assert permit.until == NOON + LATEST_USE
        assert permit.slot is not None
        assert after[permit.slot.name] == TAKEN
        assert after[Member.NEXT_AT] == NOW + 11_000

    def test_with_a_permit_of_a_queue(self) -> None:
        before = LimitState(
            values={Member.NEXT_AT: NOW + 1_000_000, Member.PER_SECOND: 100, Member.STATED_AT: NOW}
        )
        permit, after = take(before, ask(before, limit=self.BOTH))

        assert permit.start == NOON + SECOND
        assert permit.slot is not None
        assert after[permit.slot.name] == TAKEN

    def test_no_permit_is_taken_without_a_slot(self) -> None:
        assert isinstance(ask(a_state(TAKEN, TAKEN), limit=self.BOTH), Busy)

    def test_no_slot_is_taken_for_a_permit_beyond_the_lease(self) -> None:
        before = a_state(NEXT_AT=NOW + 6_000_000, PER_SECOND=100, STATED_AT=NOW)
        decided = ask(before, limit=self.BOTH)

        assert isinstance(decided, Join)
        after = decided.change.applied_to(before)
        assert after is not None
        assert slots_taken(after, now=NOON) == 0

    def test_one_that_has_a_slot_needs_only_the_permit(self) -> None:
        permit, state = take(LimitState(), ask(LimitState(), limit=self.BOTH))
        again = ask(state, limit=self.BOTH, own=permit.slot, after=SECOND)

        assert isinstance(again, Take)
        assert again.slot == permit.slot
        assert not any(name.startswith("slot") for name in again.change.sets)

    def test_a_slow_down_comes_first(self) -> None:
        decided = ask(a_state(NOT_BEFORE=NOW + 60_000_000))

        assert isinstance(decided, Later)

    def test_with_a_probe(self) -> None:
        before = a_state(OPEN_UNTIL=NOW, OPEN_FOR=1, FAILURES=5)
        circuit = ServiceLimit(concurrent=2, circuit=Circuit(failures=5, open_for=SECOND))
        permit, after = take(before, ask(before, limit=circuit))

        assert permit.is_probe
        assert permit.slot is not None
        assert after[permit.slot.name] == TAKEN

    def test_without_a_limit_no_slot_is_needed(self) -> None:
        decided = ask(LimitState(), limit=ServiceLimit())

        assert decided == Permit(start=NOON, until=NOON + PATIENCE + LATEST_USE)


class TestReturning:
    """A slot is returned if it is still the runner's own, and the average time is kept."""

    SLOT = Slot(number=1, until=TAKEN, since=NOON, taken_for=0)

    def test_it_is_free_again(self) -> None:
        after = free(self.SLOT, now=NOON + SECOND).applied_to(a_state(TAKEN, TAKEN))

        assert after is not None
        assert (after[slot_name(0)], after[slot_name(1)]) == (TAKEN, 0)

    @pytest.mark.parametrize("number", [0, TAKEN - 1, TAKEN + 1])
    def test_one_of_another_runner_stays(self, number: int) -> None:
        assert free(self.SLOT, now=NOON + SECOND).applied_to(a_state(TAKEN, number)) is None

    @pytest.mark.parametrize(
        ("known", "lasted", "average"),
        [
            (0, SECOND, 1_000_000),
            (1_000_000, SECOND, 1_000_000),
            (1_000_000, 9 * SECOND, 2_000_000),
            (9_000_000, SECOND, 8_000_000),
            # A clock that was set back.
            (8_000_000, -SECOND, 7_000_000),
        ],
    )
    def test_the_average(self, known: int, lasted: timedelta, average: int) -> None:
        slot = Slot(number=1, until=TAKEN, since=NOON, taken_for=known)

        assert free(slot, now=NOON + lasted).sets[Member.TAKEN_FOR] == average

    def test_slots_that_are_taken_are_counted(self) -> None:
        assert slots_taken(a_state(TAKEN, NOW, NOW + 1, 0), now=NOON) == 2
