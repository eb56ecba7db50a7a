from datetime import timedelta

import pytest

from shared.domain.limits.grant import (
    CLOCKS_DIFFER,
    LATEST_USE,
    MAX_SLOWDOWN,
    Busy,
    Demand,
    Grant,
    Join,
    Later,
    Permit,
    Take,
    grant,
    slow_down,
    spacing_of,
)
from shared.domain.limits.state import Bounds, LimitChange, LimitState, Member, instant_of, micros_of
from shared.domain.limits.stated import STATED_FOR
from shared.domain.strategy.model import ServiceLimit
from tests.factories import NOON

MICROSECOND, MILLISECOND, SECOND = (
    timedelta(microseconds=1),
    timedelta(milliseconds=1),
    timedelta(seconds=1),
)
NOW = micros_of(NOON)
EVERY = 11_000
"""The spacing of 100 permits a second, in microseconds."""


def a_state(**members: int) -> LimitState:
    """Return a state under a limit of 100 a second that was just stated."""
    numbers = {"PER_SECOND": 100, "STATED_AT": NOW, **members}
    return LimitState(values={Member[name]: number for name, number in numbers.items()})


def ask(
    state: LimitState,
    *,
    per_second: int | None = 100,
    patience: timedelta = 5 * SECOND,
    lead: timedelta = timedelta(),
    leased: timedelta | None = None,
    probe: int = 0,
) -> Grant:
    limit = ServiceLimit(per_second=per_second)
    return grant(
        state,
        Demand(
            limit=limit,
            leased_until=NOON + (patience if leased is None else leased),
            latest=NOON + patience,
            key="i-1",
            lasts=60 * SECOND,
            lead=lead,
            probe=probe,
        ),
        now=NOON,
    )


def settle(state: LimitState, decided: Grant) -> tuple[Permit | Later, LimitState]:
    """Store the change of a decision. Return what the runner may do, and the state afterwards."""
    if isinstance(decided, Permit | Later):
        return decided, state
    assert not isinstance(decided, Busy)
    after = decided.change.applied_to(state)
    assert after is not None
    return (decided.taken_from(state) if isinstance(decided, Take) else decided.wait_after(state)), after


class TestSpacing:
    """Permits are 1.1 seconds apart for one a second: a second, the time of use, and what clocks may differ."""

    @pytest.mark.parametrize(
        ("per_second", "microseconds"),
        [(1, 1_100_000), (2, 550_000), (3, 366_667), (100, 11_000), (200, 5_500), (499, 2_205), (500, 2_200)],
    )
    def test_the_spacing_is_rounded_up(self, per_second: int, microseconds: int) -> None:
        assert spacing_of(per_second) == microseconds * MICROSECOND

    def test_the_margin_is_a_tenth_of_a_second(self) -> None:
        assert LATEST_USE + CLOCKS_DIFFER == 100 * MILLISECOND


class TestInstants:
    """The numbers of a state are microseconds, and zero is 1970."""

    def test_an_instant_survives(self) -> None:
        assert instant_of(micros_of(NOON + MICROSECOND)) == NOON + MICROSECOND
        assert micros_of(instant_of(0)) == 0
        assert instant_of(0).isoformat() == "1970-01-01T00:00:00+00:00"


class TestTheFirstPermit:
    """If no permit was taken lately, the call is sent at once, and the next permit is one spacing later."""

    def test_an_origin_that_was_never_called(self) -> None:
        permit, after = settle(LimitState(), ask(LimitState()))

        assert permit == Permit(start=NOON, until=NOON + LATEST_USE)
        assert after == a_state(NEXT_AT=NOW + EVERY)

    @pytest.mark.parametrize("behind", [0, 1, 10**12])
    def test_an_origin_whose_next_permit_has_come(self, behind: int) -> None:
        before = a_state(NEXT_AT=NOW - behind)
        permit, after = settle(before, ask(before))

        assert permit == Permit(start=NOON, until=NOON + LATEST_USE)
        assert after[Member.NEXT_AT] == NOW + EVERY

    def test_two_runners_that_find_the_same_permit_do_not_both_get_it(self) -> None:
        before = a_state(NEXT_AT=NOW)
        _, after = settle(before, ask(before))
        second = ask(before)

        assert isinstance(second, Take)
        assert second.change.applied_to(after) is None


class TestTheQueue:
    """If the next permit is ahead, the runner takes it and waits for it."""

    @pytest.mark.parametrize("ahead", [1, EVERY, 4_999_999, 5_000_000])
    def test_the_next_permit_is_taken(self, ahead: int) -> None:
        before = a_state(NEXT_AT=NOW + ahead)
        permit, after = settle(before, ask(before))

        start = NOON + ahead * MICROSECOND
        assert permit == Permit(start=start, until=start + LATEST_USE)
        assert after == a_state(NEXT_AT=NOW + ahead + EVERY)

    def test_a_permit_may_be_beyond_what_the_lease_covers(self) -> None:
        before = a_state(NEXT_AT=NOW + 50_000_000)
        permit, _ = settle(before, ask(before, patience=50 * SECOND, leased=5 * SECOND))

        assert isinstance(permit, Permit)
        assert permit.start == NOON + 50 * SECOND

    def test_runners_that_decide_on_the_same_state_all_get_one(self) -> None:
        before = a_state(NEXT_AT=NOW + 1)
        decided, state, starts = ask(before), before, []
        for _ in range(3):
            permit, state = settle(state, decided)
            assert isinstance(permit, Permit)
            starts.append(micros_of(permit.start) - NOW)

        assert starts == [1, 1 + EVERY, 1 + 2 * EVERY]

    def test_a_permit_beyond_the_patience_is_not_taken(self) -> None:
        before = a_state(NEXT_AT=NOW + 1)
        decided = ask(before)
        assert isinstance(decided, Take)

        assert decided.change.applied_to(a_state(NEXT_AT=NOW + 5_000_000)) is not None
        assert decided.change.applied_to(a_state(NEXT_AT=NOW + 5_000_001)) is None

    def test_a_queue_that_is_empty_meanwhile_is_decided_again(self) -> None:
        decided = ask(a_state(NEXT_AT=NOW + 1))
        assert isinstance(decided, Take)

        assert decided.change.applied_to(a_state(NEXT_AT=NOW - 1)) is None


class TestASlowStore:
    """If the store needs some time to reply, permits within that time are left out."""

    def test_a_permit_within_the_lead_is_left_out(self) -> None:
        before = a_state(NEXT_AT=NOW + 299_999)
        permit, after = settle(before, ask(before, lead=300 * MILLISECOND))

        assert permit == Permit(start=NOON + 300 * MILLISECOND, until=NOON + 300 * MILLISECOND + LATEST_USE)
        assert after[Member.NEXT_AT] == NOW + 300_000 + EVERY

    def test_a_permit_after_the_lead_is_taken(self) -> None:
        before = a_state(NEXT_AT=NOW + 300_001)
        permit, _ = settle(before, ask(before, lead=300 * MILLISECOND))

        assert isinstance(permit, Permit)
        assert permit.start == NOON + 300_001 * MICROSECOND

    def test_a_lead_beyond_the_patience_is_a_wait_without_a_runner(self) -> None:
        assert isinstance(ask(a_state(), lead=6 * SECOND), Join)


class TestTheLine:
    """If the next permit is too far ahead, the call joins a line and returns two seconds before its permit."""

    FULL = NOW + 5_000_001

    def test_the_first_of_the_line(self) -> None:
        before = a_state(NEXT_AT=self.FULL)
        wait, after = settle(before, ask(before))

        assert wait == Later(until=instant_of(self.FULL) - 2 * SECOND)
        assert after == a_state(NEXT_AT=self.FULL, LINE_AT=self.FULL + EVERY)

    def test_the_next_of_the_line(self) -> None:
        before = a_state(NEXT_AT=self.FULL, LINE_AT=NOW + 60_000_000)
        wait, after = settle(before, ask(before))

        assert wait == Later(until=NOON + 58 * SECOND)
        assert after[Member.LINE_AT] == NOW + 60_000_000 + EVERY

    def test_calls_that_decide_on_the_same_state_get_places_of_their_own(self) -> None:
        state = a_state(NEXT_AT=self.FULL, LINE_AT=NOW + 60_000_000)
        decided, waits = ask(state), []
        for _ in range(3):
            wait, state = settle(state, decided)
            assert isinstance(wait, Later)
            waits.append(micros_of(wait.until) - NOW)

        assert waits == [58_000_000, 58_000_000 + EVERY, 58_000_000 + 2 * EVERY]

    @pytest.mark.parametrize("line", [NOW - 1, NOW + 5_000_000, NOW + 5_000_001])
    def test_a_line_that_has_ended_begins_behind_the_queue(self, line: int) -> None:
        before = a_state(NEXT_AT=self.FULL, LINE_AT=line)
        wait, after = settle(before, ask(before))

        assert wait == Later(until=instant_of(self.FULL) - 2 * SECOND)
        assert after[Member.LINE_AT] == self.FULL + EVERY

    def test_the_wait_lasts_a_second_at_least(self) -> None:
        before = a_state(NEXT_AT=NOW + 1)
        wait, after = settle(before, ask(before, patience=timedelta()))

        assert wait == Later(until=NOON + SECOND)
        assert after[Member.LINE_AT] == NOW + 1 + EVERY

    def test_without_patience_a_permit_of_now_is_taken(self) -> None:
        before = a_state(NEXT_AT=NOW)
        permit, _ = settle(before, ask(before, patience=timedelta()))
        assert permit == Permit(start=NOON, until=NOON + LATEST_USE)

    def test_a_patience_that_has_ended_counts_as_none(self) -> None:
        before = a_state(NEXT_AT=NOW)
        permit, _ = settle(before, ask(before, patience=-SECOND))
        assert permit == Permit(start=NOON, until=NOON + LATEST_USE)


class TestTheStrictest:
    """The strictest limit counts that was stated within an hour."""

    def test_a_stricter_limit_counts_at_once(self) -> None:
        before = a_state(NEXT_AT=NOW)
        _, after = settle(before, ask(before, per_second=50))

        assert after == a_state(NEXT_AT=NOW + 2 * EVERY, PER_SECOND=50)

    def test_a_stricter_limit_counts_at_once_even_if_its_call_has_to_wait(self) -> None:
        far = NOW + 60_000_000
        for line in (0, far + 1):
            before = a_state(NEXT_AT=far, LINE_AT=line)
            _, after = settle(before, ask(before, per_second=50))

            assert after == a_state(NEXT_AT=far, LINE_AT=max(line, far) + 2 * EVERY, PER_SECOND=50)

    def test_a_looser_limit_does_not(self) -> None:
        before = a_state(NEXT_AT=NOW, STATED_AT=NOW - 5)
        _, after = settle(before, ask(before, per_second=200))

        assert after == a_state(NEXT_AT=NOW + EVERY, STATED_AT=NOW - 5)

    def test_an_equal_limit_is_stated_again(self) -> None:
        before = a_state(NEXT_AT=NOW + 5, STATED_AT=NOW - 5)
        _, after = settle(before, ask(before))

        assert after == a_state(NEXT_AT=NOW + 5 + EVERY, STATED_AT=NOW)

    @pytest.mark.parametrize(("ago", "per_second"), [(-1, 100), (0, 200), (1, 200)])
    def test_a_limit_that_was_not_stated_for_an_hour_ends(self, ago: int, per_second: int) -> None:
        stated = NOW - STATED_FOR // MICROSECOND - ago
        before = a_state(NEXT_AT=NOW, STATED_AT=stated)
        _, after = settle(before, ask(before, per_second=200))

        assert after[Member.PER_SECOND] == per_second

    def test_a_limit_that_is_stated_again_meanwhile_does_not_end(self) -> None:
        long_ago = NOW - STATED_FOR // MICROSECOND
        decided = ask(a_state(NEXT_AT=NOW, STATED_AT=long_ago), per_second=200)
        assert isinstance(decided, Take)

        assert decided.change.applied_to(a_state(NEXT_AT=NOW, STATED_AT=NOW)) is None

    def test_a_permit_under_a_limit_that_is_stricter_meanwhile_is_decided_again(self) -> None:
        decided = ask(a_state(NEXT_AT=NOW + 1))
        assert isinstance(decided, Take)

        assert decided.change.applied_to(a_state(NEXT_AT=NOW + 1, PER_SECOND=50)) is None

    def test_a_service_without_a_rate_is_under_that_of_others(self) -> None:
        before = a_state(NEXT_AT=NOW)
        _, after = settle(before, ask(before, per_second=None))

        assert after == a_state(NEXT_AT=NOW + EVERY)

    def test_a_service_without_a_rate_needs_no_permit(self) -> None:
        assert ask(LimitState(), per_second=None) == Permit(start=NOON, until=NOON + 5 * SECOND + LATEST_USE)

    def test_a_rate_of_others_ends_for_it_too(self) -> None:
        before = a_state(NEXT_AT=NOW + 10**9, STATED_AT=NOW - STATED_FOR // MICROSECOND)
        assert isinstance(ask(before, per_second=None), Permit)


class TestASlowDown:
    """All calls wait until the instant that a service has named, up to fifteen minutes."""

    @pytest.mark.parametrize(
        ("after", "until"),
        [
            (SECOND, SECOND),
            (30 * SECOND, 30 * SECOND),
            (MAX_SLOWDOWN, MAX_SLOWDOWN),
            (MAX_SLOWDOWN + MICROSECOND, MAX_SLOWDOWN),
            (timedelta(days=400), MAX_SLOWDOWN),
        ],
    )
    def test_the_end_is_stored(self, after: timedelta, until: timedelta) -> None:
        change = slow_down(NOON + after, now=NOON)

        assert change is not None
        assert change.applied_to(LimitState()) == LimitState(
            values={Member.NOT_BEFORE: micros_of(NOON + until)}
        )

    @pytest.mark.parametrize("after", [timedelta(), -MICROSECOND, timedelta(days=-4000)])
    def test_an_end_that_is_not_ahead_changes_nothing(self, after: timedelta) -> None:
        assert slow_down(NOON + after, now=NOON) is None

    @pytest.mark.parametrize(
        ("stored", "is_moved"), [(28_999_999, True), (29_000_000, True), (29_000_001, False)]
    )
    def test_an_end_is_moved_by_a_second_or_more(self, stored: int, is_moved: object) -> None:
        change = slow_down(NOON + 30 * SECOND, now=NOON)

        assert change is not None
        assert (change.applied_to(a_state(NOT_BEFORE=NOW + stored)) is not None) is is_moved

    def test_a_runner_waits_for_a_near_end(self) -> None:
        before = a_state(NEXT_AT=NOW, NOT_BEFORE=NOW + 5_000_000)
        permit, after = settle(before, ask(before))

        assert permit == Permit(start=NOON + 5 * SECOND, until=NOON + 5 * SECOND + LATEST_USE)
        assert after[Member.NEXT_AT] == NOW + 5_000_000 + EVERY

    def test_a_far_end_is_a_wait_without_a_runner(self) -> None:
        before = a_state(NEXT_AT=NOW, NOT_BEFORE=NOW + 60_000_000)
        wait, after = settle(before, ask(before))

        assert wait == Later(until=NOON + 58 * SECOND)
        assert after[Member.LINE_AT] == NOW + 60_000_000 + EVERY

    def test_permits_of_a_queue_before_the_end_are_left_out(self) -> None:
        before = a_state(NEXT_AT=NOW + 1_000_000, NOT_BEFORE=NOW + 2_000_000)
        permit, _ = settle(before, ask(before))

        assert isinstance(permit, Permit)
        assert permit.start == NOON + 2 * SECOND

    def test_a_slow_down_meanwhile_is_noticed(self) -> None:
        for next_at in (NOW, NOW + 1):
            decided = ask(a_state(NEXT_AT=next_at))
            assert isinstance(decided, Take)
            assert decided.change.applied_to(a_state(NEXT_AT=next_at, NOT_BEFORE=NOW + 1)) is None

    def test_a_call_without_a_rate_waits_too(self) -> None:
        near = a_state(PER_SECOND=0, NOT_BEFORE=NOW + 5_000_000)
        far = a_state(PER_SECOND=0, NOT_BEFORE=NOW + 5_000_001)

        assert ask(near, per_second=None) == Permit(
            start=NOON + 5 * SECOND, until=NOON + 5 * SECOND + LATEST_USE
        )
        assert isinstance(ask(far, per_second=None, patience=50 * SECOND, leased=5 * SECOND), Later)
        wait = ask(far, per_second=None)
        assert isinstance(wait, Later)
        # Spread by the key, over ten seconds.
        assert NOON + 5 * SECOND < wait.until < NOON + 16 * SECOND


class TestChanges:
    """A change is stored if all guards hold, and leaves other numbers alone."""

    def test_a_change_sets_and_adds(self) -> None:
        change = LimitChange(
            at=NOW,
            guards={Member.NEXT_AT: Bounds(low=1, high=2)},
            sets={Member.PER_SECOND: 5},
            adds={Member.NEXT_AT: 3, Member.LINE_AT: 4},
        )
        before = LimitState(values={Member.NEXT_AT: 2, Member.STATED_AT: 7})

        assert change.applied_to(before) == LimitState(
            values={Member.NEXT_AT: 5, Member.STATED_AT: 7, Member.PER_SECOND: 5, Member.LINE_AT: 4}
        )
        assert change.applied_to(LimitState(values={Member.NEXT_AT: 3})) is None
        assert change.applied_to(LimitState()) is None
