"""Skipping cycles by command. Source: docs/contracts/core.md section 5; docs/decisions/0062."""

import pytest
from msgspec.structs import replace

from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.ids import OperationSid
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import CancelReason, InstanceStatus
from shared.domain.instance.run import Ending
from shared.domain.instance.verdict import AlreadyThere, RefusalRule, Refused
from shared.domain.lifecycle.commands import AddEvent, Cancel, Execute, Pause, Resume, Skip, Update
from shared.domain.planning.forecast import forecast
from shared.domain.strategy.model import Json, OnResume
from tests.coming import assert_foreseen
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    Life,
    at,
    by_cron,
    calendar,
    ended,
    life,
    new,
    reminded,
    retries,
    strategy,
)

NOW = at("2026-02-01")


def monthly(one: Json = None, *, start: str = "2026-02-10", end: str | None = None, **more: Json) -> Life:
    return life(strategy(one or reminded(), **more), new(start, end_date=end), now="2026-02-01")


def begun(of: Life) -> Life:
    """Return the life with its open main event retrying since 1 February."""
    of.run(of.main, NOW, ended(Ending.RETRY, NOW))
    return of


def refused(of: Life, command: Skip) -> Refused:
    before = of.instance
    verdict = of.decide(command, NOW)
    assert isinstance(verdict, Refused), verdict
    assert of.instance is before
    return verdict


class TestACycleThatHasNotBegun:
    """It closes with its leading-up events, and the plan continues after the skipped cycles."""

    def test_the_next_month_is_skipped(self) -> None:
        of = monthly()
        verdict = of.applied(Skip(by=ANN), NOW)
        assert of.open == [("remind", "2026-03-07T00:00"), ("bill", "2026-03-10T00:00")]
        main, remind = of.record("bill"), of.record("remind")
        assert (main.closed_by, main.why, main.by, main.skipped_cycles) == (
            ClosedBy.OPERATOR,
            "skipped by an operator",
            "ann",
            (1, 1),
        )
        assert (remind.closed_by, remind.why) == (ClosedBy.OPERATOR, "its main event was skipped")
        assert verdict.canceled_events == 2

    def test_several_are_one_range(self) -> None:
        of = monthly(calendar())
        verdict = of.applied(Skip(by=ANN, cycles=3), NOW)
        record = of.record("bill")
        assert (record.skipped_cycles, record.skipped_until) == ((1, 3), at("2026-04-10"))
        assert (of.open, of.instance.plan.cycle) == ([("bill", "2026-05-10T00:00")], 4)
        assert verdict.skipped is not None

    def test_two_commands_skip_two(self) -> None:
        of = monthly(calendar())
        for _ in range(2):
            of.applied(Skip(by=ANN), NOW)
        assert of.open == [("bill", "2026-04-10T00:00")]

    def test_an_onhold_event_has_not_begun(self) -> None:
        of = monthly(calendar(), manualTrigger=True)
        of.applied(Skip(by=ANN), NOW)
        assert of.open == [("bill", "2026-03-10T00:00")]

    def test_the_audit_has_the_number(self) -> None:
        of = monthly(calendar())
        of.applied(Skip(by=ANN, cycles=2), NOW)
        (entry,) = of.audit
        assert (entry.command, entry.options, entry.reason) == ("skip", ("cycles=2",), "asked by phone")

    def test_cycles_that_would_not_run_anyway_are_not_counted(self) -> None:
        """Saturday's, Sunday's and Monday's cycles are one; 7 February 2026 is a Saturday."""
        of = monthly(calendar(DAILY, businessDays={"convention": "following"}), start="2026-02-06")
        of.applied(Skip(by=ANN, cycles=2), NOW)
        assert [record.skipped_cycles for record in of.records] == [(1, 2), (3, 4)]
        coming = assert_foreseen(of, NOW)
        assert (coming.runs[0].event.created_cycle, coming.runs[0].event.date) == (5, at("2026-02-10"))

    def test_no_later_cycle_runs_on_a_skipped_date(self) -> None:
        of = monthly(calendar(DAILY, businessDays={"convention": "following"}), start="2026-02-07")
        of.applied(Skip(by=ANN), NOW)
        assert of.open == [("bill", "2026-02-10T00:00")]
        assert [record.skipped_cycles for record in of.records] == [(1, 1), (2, 3)]

    def test_cron(self) -> None:
        of = monthly(by_cron("0 9 10 * *"))
        of.applied(Skip(by=ANN), NOW)
        assert of.open == [("bill", "2026-03-10T09:00")]


class TestTheEnd:
    """If the plan has fewer cycles, all of them are skipped, and it ends."""

    def test_the_instance_is_completed(self) -> None:
        of = monthly(calendar(), end="2026-03-20")
        of.applied(Skip(by=ANN, cycles=5), NOW)
        assert (of.instance.status, of.record("bill").skipped_cycles) == (InstanceStatus.COMPLETED, (1, 2))

    def test_another_event_still_runs(self) -> None:
        of = monthly(calendar(), end="2026-03-20")
        of.applied(AddEvent(task="part", date=at("2026-05-01"), by=ANN), NOW)
        of.applied(Skip(by=ANN, cycles=5), NOW)
        assert (of.instance.status, of.open) == (InstanceStatus.ACTIVE, [("part", "2026-05-01T00:00")])
        assert refused(of, Skip(by=ANN)).why == "the plan has ended"

    def test_a_later_end_date_does_not_bring_them_back(self) -> None:
        of = monthly(calendar(), end="2026-03-20")
        of.applied(AddEvent(task="part", date=at("2026-05-01"), by=ANN), NOW)
        of.applied(Skip(by=ANN, cycles=5), NOW)
        of.applied(Update(end_date=None, sets_end_date=True, by=ANN), NOW)
        assert of.main.date == at("2026-04-10")


class TestACycleThatHasBegun:
    """It continues, and the next cycles are left out when they are planned."""

    def test_the_next_one_is_left_out(self) -> None:
        of = begun(monthly(start="2026-02-01", retry=retries(3)))
        of.applied(Skip(by=ANN), NOW)
        assert of.instance.plan.to_skip == 1
        of.run(of.main, at("2026-02-05"))
        assert of.open == [("remind", "2026-03-29T00:00"), ("bill", "2026-04-01T00:00")]
        (skipped,) = (record for record in of.records if record.skipped_cycles)
        assert (skipped.skipped_cycles, skipped.closed_by, skipped.by) == ((2, 2), ClosedBy.OPERATOR, None)
        assert of.instance.plan.to_skip == 0

    def test_two_commands_add_up(self) -> None:
        of = begun(monthly(calendar(), start="2026-02-01", retry=retries(3)))
        of.applied(Skip(by=ANN), NOW)
        of.applied(Skip(by=ANN, cycles=2), NOW)
        of.run(of.main, at("2026-02-05"))
        assert (of.main.date, of.instance.plan.cycle) == (at("2026-06-01"), 5)

    def test_the_forecast_shows_it(self) -> None:
        of = begun(monthly(calendar(), start="2026-02-01", retry=retries(3)))
        of.applied(Skip(by=ANN, cycles=2), NOW)
        foreseen = forecast(of.strategy, of.instance, cycles=2, now=NOW)
        assert [cycle.cycle for cycle in foreseen.cycles] == [1, 4]
        assert [(one.first_cycle, one.last_cycle, one.why) for one in foreseen.skipped] == [
            (2, 3, "skipped by an operator")
        ]
        assert_foreseen(of, NOW)

    def test_missed_dates_after_them_fall_under_their_rule(self) -> None:
        """Cycle 2 is skipped; cycles 3 and 4 were missed by the time the first one ends."""
        of = begun(monthly(calendar(DAILY), start="2026-02-01", retry=retries(3), onMissed="last"))
        of.applied(Skip(by=ANN), NOW)
        of.run(of.main, at("2026-02-04T12:00"))
        assert [record.skipped_cycles for record in of.records] == [None, (2, 2), (3, 3)]
        assert of.open == [("bill", "2026-02-04T00:00")]

    def test_an_event_that_an_operator_runs_now_counts_as_begun(self) -> None:
        of = monthly(calendar())
        of.applied(Execute(seq=1, by=ANN), NOW)
        of.applied(Skip(by=ANN), NOW)
        assert (of.open, of.instance.plan.to_skip) == ([("bill", "2026-02-10T00:00")], 1)

    def test_fewer_cycles_end_the_plan(self) -> None:
        of = begun(monthly(calendar(), start="2026-02-01", end="2026-03-10", retry=retries(3)))
        of.applied(Skip(by=ANN, cycles=9), NOW)
        of.run(of.main, at("2026-02-05"))
        assert of.instance.status is InstanceStatus.COMPLETED
        assert [record.skipped_cycles for record in of.records] == [None, (2, 2)]

    def test_an_end_date_set_later_leaves_none(self) -> None:
        of = begun(monthly(calendar(), start="2026-02-01", retry=retries(3)))
        of.applied(Skip(by=ANN), NOW)
        of.applied(Update(end_date=at("2026-02-20"), sets_end_date=True, by=ANN), NOW)
        of.run(of.main, at("2026-02-05"))
        assert (of.instance.status, of.instance.plan.to_skip) == (InstanceStatus.COMPLETED, 0)

    def test_a_date_that_fails_then_ends_the_plan_as_always(self) -> None:
        dated = 'timestamp(string(attributes.level) + "-01T00:00:00Z")'
        one = calendar(nextCycleDateCallback=dated)
        of = life(strategy(one, retry=retries(3)), new("2026-02-01", level="2026-03"), now="2026-02-01")
        begun(of).applied(Skip(by=ANN), NOW)
        of.applied(Update(attributes={"level": "soon"}, by=ANN), NOW)
        of.run(of.main, at("2026-02-05"))
        assert of.instance.cancel_reason is CancelReason.CREATE_CYCLE_ERROR

    def test_there_must_be_one(self) -> None:
        of = begun(monthly(calendar(), start="2026-02-01", end="2026-02-20", retry=retries(3)))
        assert refused(of, Skip(by=ANN)).why == "no cycle follows the one that has begun"

    def test_no_more_than_a_hundred_wait(self) -> None:
        of = begun(monthly(calendar(), start="2026-02-01", retry=retries(3)))
        of.applied(Skip(by=ANN, cycles=98), NOW)
        (problem,) = refused(of, Skip(by=ANN, cycles=3)).problems
        assert (problem.pointer, problem.message) == (
            "/cycles",
            "must be at most 2, with the cycles that are skipped already",
        )


class TestAPausedInstance:
    """Skipping counts from the open cycle, and the resume decides about the missed dates that are left."""

    @pytest.mark.parametrize(
        ("rule", "opened"),
        [(OnResume.ALL, "2026-02-04"), (OnResume.LAST, "2026-02-05"), (None, "2026-02-06")],
    )
    def test_missed_dates_after_them_wait_for_the_resume(self, rule: OnResume | None, opened: str) -> None:
        of = monthly(calendar(DAILY), start="2026-02-02", onResume="skip")
        of.applied(Pause(by=ANN), NOW)
        of.applied(Skip(by=ANN, cycles=2), at("2026-02-05T12:00"))
        assert of.open == [("bill", "2026-02-04T00:00")]
        of.applied(Resume(by=ANN, on_late=rule), at("2026-02-05T12:00"))
        assert of.open == [("bill", f"{opened}T00:00")]

    def test_its_plan_may_end(self) -> None:
        of = monthly(calendar(), end="2026-02-20")
        of.applied(Pause(by=ANN), NOW)
        of.applied(Skip(by=ANN), NOW)
        assert (of.instance.status, of.open) == (InstanceStatus.PAUSED, [])
        of.applied(Resume(by=ANN), NOW)
        assert of.instance.status is InstanceStatus.COMPLETED


class TestRefused:
    """Nothing is skipped, and the text says why."""

    def test_a_final_instance(self) -> None:
        of = monthly()
        of.applied(Cancel(by=ANN), NOW)
        assert refused(of, Skip(by=ANN)).why == "the instance is CANCELED"

    def test_an_own_single_date(self) -> None:
        of = life(strategy(), replace(new("2026-02-10"), schedule=OwnSchedule()), now="2026-02-01")
        assert "single date" in refused(of, Skip(by=ANN)).why

    def test_an_own_cron_schedule_skips(self) -> None:
        request = replace(new("2026-02-10"), schedule=OwnSchedule(cron="0 9 * * *"))
        of = life(strategy(), request, now="2026-02-01")
        of.applied(Skip(by=ANN), NOW)
        assert of.open == [("bill", "2026-02-11T09:00")]

    def test_a_date_that_cannot_be_computed(self) -> None:
        verdict = refused(monthly(calendar(runOnCycle=1)), Skip(by=ANN))
        assert (verdict.rule, verdict.why) == (
            RefusalRule.STATE,
            "nothing was skipped: no calendar for cycle 2",
        )


class TestRepeats:
    """A skip adds up, so that a repeated request needs a key; one of a bulk operation is known by that."""

    def test_a_repeat_with_the_same_key_changes_nothing(self) -> None:
        of, command = monthly(calendar()), Skip(by=ANN, key="k-1", body="b-1")
        of.applied(command, NOW)
        assert isinstance(of.decide(command, NOW), AlreadyThere)
        assert isinstance(
            of.decide(Skip(by=ANN, key="k-2", body="b-2", others=(("k-1", "b-1"),)), NOW), AlreadyThere
        )

    def test_the_same_key_with_another_body_is_refused(self) -> None:
        of = monthly(calendar())
        of.applied(Skip(by=ANN, key="k-1", body="b-1"), NOW)
        verdict = refused(of, Skip(by=ANN, cycles=2, key="k-1", body="b-2"))
        assert verdict.rule is RefusalRule.KEY_REUSED

    def test_a_bulk_operation_skips_once(self) -> None:
        of, by = monthly(calendar()), replace(ANN, operation=OperationSid("o-1"))
        of.applied(Skip(by=by), NOW)
        assert isinstance(of.decide(Skip(by=by), NOW), AlreadyThere)
