"""Creating an instance. Source: docs/contracts/core.md section 3.3; docs/design.md section 4."""

import pytest

from shared.domain.errors import InvalidInputError, Problem
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.model import InstanceStatus
from shared.domain.planning.start import start
from shared.domain.strategy.model import Json, Strategy
from tests.lifecycle_factories import (
    DAILY,
    MONTHLY,
    at,
    by_cron,
    calendar,
    example,
    life,
    new,
    reminded,
    strategy,
)

JTD: Json = {
    "instanceValidation": {
        "properties": {"email": {"type": "string"}},
        "optionalProperties": {
            "due": {"type": "timestamp"},
            "born": {"type": "string"},
            "a/b": {"type": "string"},
        },
    }
}
MEMBER: Json = {"memberId": "m-1", "email": "ann@example.test", "monthlyFee": 29.5, "marketingOptIn": True}


def problems_of(of: Strategy, request: Json, *, now: str = "2026-01-31") -> list[tuple[str, str]]:
    """Return pointer and rule of every problem of a request."""
    return [(problem.pointer, problem.rule) for problem in full_problems_of(of, request, now=now)]


def full_problems_of(of: Strategy, request: Json, *, now: str = "2026-01-31") -> tuple[Problem, ...]:
    with pytest.raises(InvalidInputError) as caught:
        start(of, request, now=at(now))
    return caught.value.problems


class TestCreation:
    """A new instance is ACTIVE at cycle 1, with its on-create events and its first main event."""

    def test_a_new_instance_is_at_its_first_cycle(self) -> None:
        of = life(request=new("2026-03-01", level="gold")).instance
        assert (of.status, of.plan.cycle, of.rev, of.fence) == (InstanceStatus.ACTIVE, 1, 1, 0)
        assert (of.sid, of.account_id, of.strategy_sid, of.shard) == ("i-1", "a-1", "s-1", 3)
        assert (of.strategy_version, of.origin.strategy_id, of.attributes) == (1, "shop", {"level": "gold"})
        assert (of.start_date, of.created_at) == (at("2026-03-01"), at("2026-01-31"))

    def test_an_instance_without_a_start_date_starts_now(self) -> None:
        of = life()
        assert of.instance.start_date == at("2026-01-31")
        assert of.open == [("bill", "2026-01-31T00:00")]

    def test_on_create_events_are_dated_from_the_start_date(self) -> None:
        parts = {"onCreateTasks": [{"task": "greet", "delayBy": DAILY}, {"task": "part"}]}
        of = life(strategy(parts=parts), new("2026-03-01"))
        assert of.open == [
            ("greet", "2026-03-02T00:00"),
            ("part", "2026-03-01T00:00"),
            ("bill", "2026-03-01T00:00"),
        ]
        assert [event.seq for event in of.instance.events] == [1, 2, 3]
        assert of.event("greet").kind is EventKind.ON_CREATE
        assert not of.event("greet").after_cancellation

    def test_a_condition_decides_about_an_on_create_event(self) -> None:
        entries = [
            {"task": "greet", "createIf": "attributes.vip == true"},
            {"task": "part", "createIf": "attributes.vip == false"},
        ]
        of = life(strategy(parts={"onCreateTasks": entries}), new(vip=True))
        assert [task for task, _ in of.open] == ["greet", "bill"]

    def test_manual_entries_and_manual_strategies_are_onhold(self) -> None:
        parts = {"onCreateTasks": [{"task": "greet", "manualTrigger": True}]}
        of = life(strategy(parts=parts))
        assert (of.event("greet").status, of.main.status) == (EventStatus.ONHOLD, EventStatus.PENDING)
        of = life(strategy(reminded(days=0), manualTrigger=True))
        assert {event.status for event in of.instance.events} == {EventStatus.ONHOLD}

    def test_the_initial_delay_moves_the_first_main_event(self) -> None:
        delay = {"unit": "days", "amount": 7, "resetTo": {"hour": 9, "minute": 0}}
        of = life(strategy(initial_delay=delay), new("2026-03-01T18:45:10"))
        assert of.open == [("bill", "2026-03-08T09:00")]

    def test_schedule_after_does_not_count_for_the_first_cycle(self) -> None:
        assert life(request=new("2026-03-01")).open == [("bill", "2026-03-01T00:00")]

    def test_a_plan_that_ends_before_it_begins_is_completed(self) -> None:
        of = life(strategy(initial_delay=MONTHLY), new(end_date="2026-02-15"))
        assert of.instance.status is InstanceStatus.COMPLETED
        assert (of.instance.plan.moment, of.instance.plan.has_ended) == (None, True)


class TestExamples:
    """The instances of the example strategies."""

    def test_the_water_filter_keeps_the_thirty_first(self) -> None:
        of = life(example("water-filter-refill"), new("2026-01-31T10:00"), now="2026-01-01")
        dates = []
        for _ in range(5):
            dates.append(of.open)
            assert of.instance.plan.moment is not None
            assert of.instance.plan.moment.anchor.day == 31
            of.run(of.main, of.main.date)
        assert dates == [
            [("send-refill", "2026-01-31T10:00")],
            [("send-refill", "2026-02-28T10:00")],
            [("send-refill", "2026-03-31T09:00")],
            [("send-refill", "2026-04-30T09:00")],
            [("send-refill", "2026-05-31T09:00")],
        ]
        assert of.instance.plan.cycle == 6

    def test_the_gym_charges_at_nine_on_both_sides_of_a_clock_change(self) -> None:
        of = life(example("gym-membership"), new("2026-02-24T18:45:10", **MEMBER), now="2026-02-24")
        assert of.open == [
            ("send-welcome", "2026-02-24T18:50:10"),
            ("send-reminder", "2026-02-28T08:00"),
            ("charge-fee", "2026-03-03T08:00"),
        ]
        for task in ("send-welcome", "send-reminder", "charge-fee"):
            of.run(of.event(task), of.event(task).date)
        assert of.open == [("send-reminder", "2026-03-31T07:00"), ("charge-fee", "2026-04-03T07:00")]
        for task in ("send-reminder", "charge-fee"):
            of.run(of.event(task), of.event(task).date)
        assert of.open[1] == ("charge-fee", "2026-05-03T07:00")
        assert of.instance.plan.cycle == 3


class TestProblems:
    """Every problem of a request is reported at once; nothing is created."""

    def test_every_problem_of_a_request_is_reported(self) -> None:
        of = strategy(
            calendar(
                {**MONTHLY, "from": "due"},
                runOnCycle=2,
                leadingUpTasks=[{"task": "remind", "scheduleBefore": {**DAILY, "from": "a/b"}}],
            ),
            calendar(key="others"),
            initial_delay={**DAILY, "from": "due"},
            parts={
                **JTD,
                "onCreateTasks": [{"task": "greet", "delayBy": {**DAILY, "from": "born"}}, {"task": "part"}],
            },
        )
        request = new("2026-03-01", end_date="2026-02-01", due="soon", born=7, email=None)
        assert problems_of(of, request) == [
            ("/attributes/email", "type"),
            ("/attributes/email", "jtd"),
            ("/attributes/due", "jtd"),
            ("/attributes/born", "jtd"),
            ("/attributes/due", "date"),
            ("/attributes/born", "date"),
            ("/attributes/a~1b", "date"),
            ("/endDate", "range"),
        ]

    def test_attributes_must_be_strings_numbers_or_booleans(self) -> None:
        request = new(tags=["a"], address={"city": "Porto"}, ok=True, fee=1, rate=0.5, name="x")
        assert problems_of(strategy(), request) == [
            ("/attributes/tags", "type"),
            ("/attributes/address", "type"),
        ]

    def test_attributes_take_at_most_16_kb(self) -> None:
        fits, over = "x" * (16 * 1024 - 11), "x" * (16 * 1024 - 10)
        assert life(request=new(note=fits)).instance.attributes == {"note": fits}
        assert problems_of(strategy(), new(note=over)) == [("/attributes", "too-long")]

    def test_an_end_date_on_the_start_date_is_no_problem(self) -> None:
        of = life(request=new("2026-03-01", end_date="2026-03-01"))
        assert of.open == [("bill", "2026-03-01T00:00")]

    def test_a_cycle_without_a_calendar_is_refused(self) -> None:
        (problem,) = full_problems_of(strategy(calendar(runOnCycle=2)), new())
        assert (problem.pointer, problem.rule) == ("", "create-cycle")
        assert problem.message == "no calendar for cycle 1"

    def test_a_start_date_out_of_the_calendar_is_refused(self) -> None:
        of = strategy(timezone="Asia/Tokyo")
        assert problems_of(of, new("9999-12-31T23:00")) == [("", "create-cycle")]

    def test_a_cron_expression_without_a_further_date_is_refused(self) -> None:
        of = strategy(by_cron("0 0 9 1 1 ? 2025"))
        (problem,) = full_problems_of(of, new("2026-02-01"))
        assert (problem.pointer, problem.rule) == ("", "create-cycle")
        assert problem.message == "cycle 1: cron '0 0 9 1 1 ? 2025' has no further date"
        assert life(of, new("2024-12-01")).open == [("bill", "2025-01-01T09:00")]

    def test_a_start_date_with_too_many_missed_dates_is_refused(self) -> None:
        of = strategy(calendar(DAILY))
        assert problems_of(of, new("2020-01-01")) == [("/startDate", "too-many-missed")]


class TestPastStartDate:
    """`onResume` decides which of the missed dates run."""

    def test_last_runs_the_latest_missed_date(self) -> None:
        of = life(strategy(onResume="last"), new("2025-10-31"), now="2026-01-15")
        assert of.open == [("bill", "2025-12-31T00:00")]
        assert of.instance.plan.cycle == 3
        (record,) = of.records
        assert record.skipped_cycles == (1, 2)

    def test_all_runs_each_missed_date(self) -> None:
        of = life(strategy(onResume="all"), new("2025-10-31"), now="2026-01-15")
        assert (of.open, of.records) == ([("bill", "2025-10-31T00:00")], [])

    def test_skip_runs_no_missed_date(self) -> None:
        of = life(strategy(onResume="skip"), new("2025-10-31"), now="2026-01-15")
        assert of.open == [("bill", "2026-01-31T00:00")]
        assert of.records[0].skipped_cycles == (1, 3)

    def test_the_skipped_dates_are_returned(self) -> None:
        verdict = start(strategy(), new("2025-10-31"), now=at("2026-01-15"))
        assert verdict.skipped is not None
        assert (verdict.skipped.first_cycle, verdict.skipped.last_cycle) == (1, 2)
        assert (verdict.skipped.first_at, verdict.skipped.last_at) == (at("2025-10-31"), at("2025-11-30"))

    def test_on_create_events_run_in_any_case(self) -> None:
        parts = {"onCreateTasks": [{"task": "greet"}]}
        of = life(strategy(parts=parts, onResume="skip"), new("2025-10-31"), now="2026-01-15")
        assert of.open == [("greet", "2025-10-31T00:00"), ("bill", "2026-01-31T00:00")]

    def test_a_past_leading_up_event_of_a_future_main_event_is_skipped(self) -> None:
        of = life(strategy(reminded()), new("2026-02-01"), now="2026-01-31")
        assert (of.open, of.closed) == ([("bill", "2026-02-01T00:00")], [("remind", "CANCELED")])

    def test_with_run_late_it_runs_at_once(self) -> None:
        of = life(strategy(reminded(late=True)), new("2026-02-01"), now="2026-01-31")
        assert of.open == [("remind", "2026-01-29T00:00"), ("bill", "2026-02-01T00:00")]

    @pytest.mark.parametrize("late", [False, True])
    def test_a_past_leading_up_event_is_skipped_if_its_main_date_has_passed(self, *, late: bool) -> None:
        of = life(strategy(reminded(late=late)), new("2026-01-30"), now="2026-01-31")
        assert (of.open, of.closed) == ([("bill", "2026-01-30T00:00")], [("remind", "CANCELED")])
