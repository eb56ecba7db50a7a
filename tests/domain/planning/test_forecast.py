"""Simulation and forecast. Source: docs/design.md section 4; docs/contracts/core.md sections 1.1 (S4) and 5."""

import re
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev.memory.evaluator import SlowEvaluator
from shared.domain.errors import InvalidInputError
from shared.domain.instance.due import Due, next_action
from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import BlockedBy, InstanceStatus
from shared.domain.instance.run import Ending
from shared.domain.lifecycle.commands import Block, Cancel, Pause
from shared.domain.planning.forecast import Forecast, ForeseenCycle, Simulated, forecast, simulate
from shared.domain.strategy.model import Json, Strategy
from shared.expressions import use_evaluator
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    MONTHLY,
    Life,
    at,
    by_cron,
    calendar,
    ended,
    example,
    life,
    new,
    reminded,
    shown,
    strategy,
    succeeded,
)

MEMBER: Json = {"memberId": "m-1", "email": "ann@example.test", "monthlyFee": 29.5, "marketingOptIn": True}


def simulated(of: Strategy, start: str, *, cycles: int, **attributes: Json) -> Simulated:
    return simulate(of, start_date=at(start), cycles=cycles, attributes=attributes)


def dates(cycles: tuple[ForeseenCycle, ...]) -> list[tuple[int, list[str]]]:
    """Return the number and dates of each cycle, the leading-up ones first."""
    return [
        (foreseen.cycle, shown(*(event.date for event in (*foreseen.leading_up, foreseen.main))))
        for foreseen in cycles
    ]


class TestSimulation:
    """ "Simulation takes its `startDate` as now, so no date of it is missed"."""

    def test_a_first_cycle_reset_to_before_the_start_is_missed(self) -> None:
        back = {"unit": "minutes", "amount": 1, "resetTo": {"day": 1}}
        of = strategy(calendar(DAILY), initial_delay=back)

        found = simulated(of, "2026-01-31T12:00", cycles=2)
        lived = life(of, new("2026-01-31T12:00"), now="2026-01-31T12:00")

        assert dates(found.cycles) == [(30, ["2026-01-30T12:01"]), (31, ["2026-01-31T12:01"])]
        assert (lived.instance.plan.cycle, shown(lived.main.date)) == (30, ["2026-01-30T12:01"])

    def test_the_gym_membership_is_simulated(self) -> None:
        found = simulated(example("gym-membership"), "2026-02-24T18:45:10", cycles=3, **MEMBER)
        assert shown(*(event.date for event in found.on_create)) == ["2026-02-24T18:50:10"]
        assert dates(found.cycles) == [
            (1, ["2026-02-28T08:00", "2026-03-03T08:00"]),
            (2, ["2026-03-31T07:00", "2026-04-03T07:00"]),
            (3, ["2026-04-30T07:00", "2026-05-03T07:00"]),
        ]
        assert found.ended is None

    def test_the_water_filter_is_simulated(self) -> None:
        found = simulated(example("water-filter-refill"), "2026-01-31T10:00", cycles=5)
        assert dates(found.cycles) == [
            (1, ["2026-01-31T10:00"]),
            (2, ["2026-02-28T10:00"]),
            (3, ["2026-03-31T09:00"]),
            (4, ["2026-04-30T09:00"]),
            (5, ["2026-05-31T09:00"]),
        ]

    def test_conditions_are_not_evaluated(self) -> None:
        parts = {"onCreateTasks": [{"task": "greet", "createIf": "attributes.vip == true"}]}
        found = simulated(strategy(parts=parts), "2026-01-31", cycles=1)
        assert [(event.task, event.status) for event in found.on_create] == [("greet", EventStatus.PENDING)]

    def test_a_plan_that_cannot_continue_says_why(self) -> None:
        found = simulated(strategy(calendar(runOnCycle=1)), "2026-01-31", cycles=3)
        assert dates(found.cycles) == [(1, ["2026-01-31T00:00"])]
        assert found.ended == "no calendar for cycle 2"

    def test_a_plan_after_its_last_fire_says_why(self) -> None:
        found = simulated(strategy(by_cron("0 0 9 1 1 ? 2027")), "2026-01-31", cycles=3)
        assert dates(found.cycles) == [(1, ["2027-01-01T09:00"])]
        assert found.ended == "the cron expression has no further date"

    def test_invalid_attributes_are_refused(self) -> None:
        with pytest.raises(InvalidInputError, match="the plan counts from it"):
            simulated(strategy(initial_delay={**MONTHLY, "from": "due"}), "2026-01-31", cycles=1)

    def test_a_plan_without_a_first_cycle_is_refused(self) -> None:
        with pytest.raises(InvalidInputError, match="no calendar for cycle 1"):
            simulated(strategy(calendar(runOnCycle=2)), "2026-01-31", cycles=1)


class TestTruncated:
    """ "Simulation and forecast have a time budget and answer what they have"."""

    COSTLY = strategy(calendar(nextCycleDateCallback="date"))

    def test_a_simulation_without_time_answers_the_cycles_so_far(self) -> None:
        # Two tenths of a second each, three together: the fourth has no time.
        use_evaluator(SlowEvaluator(0.19))
        found = simulated(self.COSTLY, "2026-01-31", cycles=12)

        assert [cycle.cycle for cycle in found.cycles] == [1, 2, 3, 4]
        assert (found.truncated, found.ended) == (True, None)

    def test_a_forecast_without_time_answers_the_cycles_so_far(self) -> None:
        of = life(self.COSTLY, new("2026-02-10"))
        use_evaluator(SlowEvaluator(0.19))
        found = forecast(of.strategy, of.instance, cycles=12, now=at("2026-02-01"))

        assert ([cycle.cycle for cycle in found.cycles], found.truncated) == ([1, 2, 3, 4], True)

    def test_the_requested_cycles_are_all(self) -> None:
        use_evaluator(SlowEvaluator(0.19))
        found = simulated(self.COSTLY, "2026-01-31", cycles=4)

        assert (len(found.cycles), found.truncated) == (4, False)

    def test_a_date_that_a_callback_had_no_time_for_is_left_out(self) -> None:
        # Without its callback the delta would be of a day.
        delta = {"unit": "days", "amount": 1, "retryEventCallback": '{"unit": "months"}'}
        of = strategy(calendar(delta))
        use_evaluator(SlowEvaluator(0.19))
        found = simulated(of, "2026-01-31", cycles=12)

        assert dates(found.cycles)[-1] == (4, ["2026-04-30T00:00"])
        assert found.truncated

    def test_missed_dates_without_time_have_no_forecast(self) -> None:
        of = life(strategy(calendar(nextCycleDateCallback="date"), onMissed="last"), new("2026-02-10"))
        use_evaluator(SlowEvaluator(0.19))
        found = forecast(of.strategy, of.instance, cycles=3, now=at("2027-02-01"))

        assert found == Forecast(cycles=(), truncated=True)

    def test_a_callback_that_takes_too_long_by_itself_ends_the_plan(self) -> None:
        use_evaluator(SlowEvaluator(0.3))
        found = simulated(self.COSTLY, "2026-01-31", cycles=2)

        assert not found.truncated
        assert found.ended == "nextCycleDateCallback of cycle 2: it takes too long"


class TestForecast:
    """The coming cycles of an existing instance, the open one first."""

    def foreseen(self, of: Life, *, now: str, cycles: int = 3) -> list[tuple[int, list[str]]]:
        return dates(forecast(of.strategy, of.instance, cycles=cycles, now=at(now)).cycles)

    def test_the_forecast_begins_with_the_open_cycle(self) -> None:
        of = life(strategy(reminded()), new("2026-02-10"))
        assert self.foreseen(of, now="2026-02-01") == [
            (1, ["2026-02-07T00:00", "2026-02-10T00:00"]),
            (2, ["2026-03-07T00:00", "2026-03-10T00:00"]),
            (3, ["2026-04-07T00:00", "2026-04-10T00:00"]),
        ]

    def test_a_forecast_leaves_the_instance_unchanged(self) -> None:
        of = life(request=new("2026-02-10"))
        before = of.instance
        self.foreseen(of, now="2026-05-01")
        assert of.instance == before

    def test_a_forecast_has_at_most_the_given_cycles(self) -> None:
        of = life(request=new("2026-02-10"))
        assert [len(self.foreseen(of, now="2026-02-01", cycles=cycles)) for cycles in (0, 1, 2)] == [0, 1, 2]

    def test_a_forecast_can_have_any_number_of_cycles(self) -> None:
        of = life(strategy(calendar(DAILY)))
        assert len(self.foreseen(of, now="2026-01-31", cycles=1500)) == 1500

    def test_a_forecast_ends_at_the_end_date(self) -> None:
        of = life(request=new("2026-02-10", end_date="2026-03-31"))
        assert self.foreseen(of, now="2026-02-01", cycles=9) == [
            (1, ["2026-02-10T00:00"]),
            (2, ["2026-03-10T00:00"]),
        ]

    def test_a_retry_does_not_move_the_plan(self) -> None:
        of = life()
        of.run(of.main, at("2026-01-31"), ended(Ending.RETRY, at("2026-01-31")))
        assert self.foreseen(of, now="2026-01-31", cycles=2) == [
            (1, ["2026-01-31T01:00"]),
            (2, ["2026-02-28T00:00"]),
        ]

    def test_dates_missed_during_a_run_all_run(self) -> None:
        of = life()
        of.claim(of.main, at("2026-01-31"))
        assert self.foreseen(of, now="2026-04-15", cycles=3) == [
            (1, ["2026-01-31T00:00"]),
            (2, ["2026-02-28T00:00"]),
            (3, ["2026-03-31T00:00"]),
        ]

    def test_dates_missed_during_a_run_fall_under_their_rule(self) -> None:
        of = life(strategy(onMissed="last"))
        of.claim(of.main, at("2026-01-31"))
        assert self.foreseen(of, now="2026-04-15", cycles=2) == [
            (1, ["2026-01-31T00:00"]),
            (3, ["2026-03-31T00:00"]),
        ]

    def test_a_missed_open_event_is_replaced(self) -> None:
        of = life(strategy(onMissed="last"), new("2026-02-10"))
        assert self.foreseen(of, now="2026-05-01", cycles=2) == [
            (3, ["2026-04-10T00:00"]),
            (4, ["2026-05-10T00:00"]),
        ]

    def test_a_paused_instance_is_taken_to_be_resumed_now(self) -> None:
        of = life(strategy(onResume="skip"), new("2026-02-10"))
        of.decide(Pause(by=ANN), at("2026-02-01"))
        assert self.foreseen(of, now="2026-02-15", cycles=1) == [(2, ["2026-03-10T00:00"])]

    def test_a_blocked_instance_is_taken_to_be_released_now(self) -> None:
        of = life(strategy(onResume="skip"), new("2026-02-10"))
        before = of.main
        of.claim(before, at("2026-02-10"))
        of.decide(Block(before=before, fence=1, blocked_by=BlockedBy.QUEUE), at("2026-02-10"))
        assert self.foreseen(of, now="2026-02-15", cycles=1) == [(2, ["2026-03-10T00:00"])]

    def test_a_plan_with_thousands_of_missed_dates_continues(self) -> None:
        of = life(strategy(calendar(DAILY), onMissed="last"))
        assert self.foreseen(of, now="2030-01-01T12:00", cycles=2) == [
            (1432, ["2030-01-01T00:00"]),
            (1433, ["2030-01-02T00:00"]),
        ]

    def test_a_paused_plan_with_thousands_of_missed_dates_has_no_forecast(self) -> None:
        """A resume is refused then, unless it says how to treat them."""
        of = life(strategy(calendar(DAILY)))
        of.decide(Pause(by=ANN), at("2026-01-30"))
        assert self.foreseen(of, now="2030-01-01") == []

    def test_a_final_instance_has_no_forecast(self) -> None:
        of = life()
        of.decide(Cancel(by=ANN), at("2026-01-31"))
        assert self.foreseen(of, now="2026-01-31") == []

    def test_an_ended_plan_has_no_forecast(self) -> None:
        parts = {"onCreateTasks": [{"task": "greet"}]}
        of = life(strategy(initial_delay=DAILY, parts=parts), new(end_date="2026-01-31"))
        assert of.instance.status is InstanceStatus.ACTIVE
        assert self.foreseen(of, now="2026-01-31") == []

    def test_a_cron_plan_is_forecast(self) -> None:
        of = life(strategy(by_cron("0 0 9 LW * ?")), new("2026-02-10"))
        assert self.foreseen(of, now="2026-02-10", cycles=2) == [
            (1, ["2026-02-27T09:00"]),
            (2, ["2026-03-31T09:00"]),
        ]

    def test_a_cron_plan_is_forecast_to_its_last_fire(self) -> None:
        of = life(strategy(by_cron("0 0 9 1 1 ? 2027-2028")))
        assert self.foreseen(of, now="2026-01-31") == [(1, ["2027-01-01T09:00"]), (2, ["2028-01-01T09:00"])]

    def test_a_plan_that_breaks_off_is_forecast_to_there(self) -> None:
        of = life(strategy(calendar(runOnCycle=1)))
        assert self.foreseen(of, now="2026-01-31") == [(1, ["2026-01-31T00:00"])]


deltas = st.fixed_dictionaries(
    {"unit": st.sampled_from(["years", "months", "days", "hours", "minutes"]), "amount": st.integers(1, 40)},
    optional={
        "resetTo": st.fixed_dictionaries(
            {}, optional={"day": st.integers(1, 31), "hour": st.integers(0, 24), "minute": st.integers(0, 59)}
        )
    },
)
calendars = st.lists(
    st.fixed_dictionaries(
        {"scheduleAfter": deltas},
        optional={
            "runOnCycle": st.integers(1, 5),
            "nextCycleDateCallback": st.sampled_from(["date", 'date + duration("36h")']),
            "leadingUpTasks": st.lists(
                st.fixed_dictionaries({"task": st.just("remind"), "scheduleBefore": deltas}), max_size=2
            ),
        },
    ),
    max_size=3,
)
crons = st.sampled_from(
    [
        "*/20 * * * *",
        "30 2 * * *",
        "30 1 * * SUN",
        "0 9 31 * *",
        "0 0/45 * * * ?",
        "0 30 2 ? * MON-FRI",
        "0 0 9 LW * ?",
        "0 0 0 1 1,7 ? 2024-2027",
    ]
)
callbacks = st.lists(
    st.tuples(deltas, st.sampled_from(["cycle % 2 == 0", "cycle > 3", "date.getDayOfMonth() > 15"])),
    max_size=2,
)


@st.composite
def strategies(draw: st.DrawFn) -> Strategy:
    """Generate strategies that pass the checks on save."""
    entries = [calendar(**entry) for entry in draw(calendars)]
    entries += [calendar(after, runOnCycleCallback=source) for after, source in draw(callbacks)]
    entries += [
        by_cron(text, runOnCycleCallback="cycle % 3 == 0") for text in draw(st.lists(crons, max_size=1))
    ]
    entries.append(draw(st.builds(calendar, deltas) | st.builds(by_cron, crons)))
    named = [{**entry, "key": f"c{index}"} for index, entry in enumerate(entries)]
    zone = draw(st.sampled_from(["UTC", "Europe/Madrid", "America/New_York", "Asia/Manila", "Pacific/Apia"]))
    delay = draw(st.none() | deltas)
    try:
        return strategy(*named, initial_delay=delay, timezone=zone)
    except InvalidInputError:  # visibly not rising
        return strategy(timezone=zone)


class TestOneComputation:
    """ "One module computes dates: simulation, forecast and the running engine call the same functions"."""

    @settings(max_examples=100, deadline=None)
    @given(of=strategies(), days=st.integers(0, 1500), minutes=st.integers(0, 1439), late=st.integers(0, 50))
    def test_the_engine_runs_the_simulated_and_forecast_dates(
        self, of: Strategy, days: int, minutes: int, late: int
    ) -> None:
        start = at("2024-01-01") + timedelta(days=days, minutes=minutes)
        (text,) = shown(start)
        try:
            found = simulated(of, text, cycles=6)
        except InvalidInputError as refusal:  # so many dates before its start that nobody walks them
            with pytest.raises(InvalidInputError, match=re.escape(str(refusal))):
                life(of, new(text), now=text)
            return
        lived = life(of, new(text), now=text)
        foreseen = forecast(of, lived.instance, cycles=6, now=start).cycles
        ran: list[tuple[int, list[str]]] = []
        now = start
        while len(ran) < 6 and lived.instance.main_event is not None:
            ran.append((lived.instance.plan.cycle, shown(*(event.date for event in lived.instance.events))))
            # With ``resetTo`` an initial delay may go back, and nothing runs before it is created.
            now = max(now, lived.main.date + timedelta(milliseconds=late))
            while not lived.main.has_begun:
                ready = next_action(lived.instance, now)
                assert isinstance(ready, Due)
                lived.claim(ready.event, now)
                if lived.instance.executing is not None and not lived.running.is_main:
                    lived.conclude(succeeded(), now)
            lived.conclude(succeeded(), now)
        assert ran == dates(found.cycles) == dates(foreseen)
        assert (found.ended is None) == (lived.instance.status is InstanceStatus.ACTIVE)
