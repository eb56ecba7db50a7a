"""Canceling single events. Source: docs/contracts/core.md sections 3.4 and 3.9."""

import pytest

from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.run import Ending
from shared.domain.instance.verdict import AlreadyThere, Applied, Refused
from shared.domain.lifecycle.cancel_events import decide_closed_event
from shared.domain.lifecycle.commands import Cancel, CancelEvent, CancelTasks, Execute, Pause
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import ANN, DAILY, Life, at, ended, life, new, reminded, shown, strategy

NOON = at("2026-01-31T12:00")
GREET: Json = {"onCreateTasks": [{"task": "greet"}]}
PART: Json = {"onCancelTasks": [{"task": "part", "delayBy": {"unit": "days", "amount": 1}}]}


def withdrawn(of: Life, task: str) -> Applied:
    return of.applied(CancelEvent(seq=of.event(task).seq, by=ANN), NOON)


class TestCancellingOneEvent:
    """Only the event closes. If it is a main event, its leading-up events close too, and the plan continues."""

    def test_the_rest_of_the_instance_continues(self) -> None:
        of = life(strategy(parts=GREET))

        applied = withdrawn(of, "greet")

        assert of.closed == [("greet", "CANCELED")]
        assert of.record("greet").why == "canceled by an operator"
        assert applied.canceled_events == 1
        assert of.instance.status is InstanceStatus.ACTIVE
        assert of.main.seq == 2

    def test_a_main_event_closes_with_its_reminder_and_its_cycle_is_skipped(self) -> None:
        of = life(strategy(reminded(days=3)), new("2026-03-10"))

        withdrawn(of, "bill")

        assert of.closed == [("bill", "CANCELED"), ("remind", "CANCELED")]
        assert of.instance.plan.cycle == 2
        assert shown(of.main.date) == ["2026-04-10T00:00"]
        assert of.record("remind").why == "its main event was canceled"

    def test_the_audit_entry_names_the_canceled_event(self) -> None:
        of = life(strategy(parts=GREET))

        withdrawn(of, "greet")

        entry = of.audit[-1]
        assert (entry.command, entry.by, entry.event) == ("cancel-event", "ann", f"{of.instance.sid}-1")

    def test_the_last_dated_event_of_an_ended_plan_completes_the_instance(self) -> None:
        of = life(strategy(parts=GREET, initial_delay=DAILY), new("2026-03-10", end_date="2026-03-10"))

        withdrawn(of, "greet")

        assert of.instance.status is InstanceStatus.COMPLETED

    def test_a_running_event_closes_at_once_and_its_late_result_is_discarded(self) -> None:
        of = life(strategy())
        of.claim(of.main, NOON)
        fence = of.instance.fence

        withdrawn(of, "bill")

        record = of.record("bill")
        assert (record.event.status, record.in_doubt, record.fence) == (EventStatus.CANCELED, True, fence + 1)
        assert of.instance.lease is None
        assert of.instance.plan.cycle == 2

    def test_an_event_in_doubt_of_a_paused_instance_leaves_it_paused(self) -> None:
        of = life(strategy())
        of.claim(of.main, NOON)
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        assert of.instance.status is InstanceStatus.PAUSED

        withdrawn(of, "bill")

        assert of.instance.status is InstanceStatus.PAUSED
        assert of.main.status is EventStatus.PENDING

    def test_an_on_cancel_event_can_be_canceled(self) -> None:
        of = life(strategy(parts=PART))
        of.decide(Cancel(by=ANN), NOON)

        withdrawn(of, "part")

        assert of.instance.events == ()
        assert of.instance.status is InstanceStatus.CANCELED


class TestAClosedEvent:
    """No command leaves a final status; canceling a canceled event changes nothing."""

    def test_an_event_that_is_not_open_is_refused(self) -> None:
        verdict = life().decide(CancelEvent(seq=9, by=ANN), NOON)

        assert isinstance(verdict, Refused)
        assert verdict.rule == "finished"

    @pytest.mark.parametrize("command", [CancelEvent, Execute])
    def test_a_processed_event_is_refused(self, command: type[CancelEvent | Execute]) -> None:
        of = life()
        of.run(of.main, NOON)

        verdict = decide_closed_event(of.instance, of.record("bill"), command(seq=1, by=ANN))

        assert isinstance(verdict, Refused)
        assert verdict.why == "the event is PROCESSED"

    def test_a_canceled_event_is_already_there_but_cannot_run(self) -> None:
        of = life()
        withdrawn(of, "bill")
        record = of.record("bill")

        again = decide_closed_event(of.instance, record, CancelEvent(seq=1, by=ANN))
        run = decide_closed_event(of.instance, record, Execute(seq=1, by=ANN))

        assert again == AlreadyThere(instance=of.instance)
        assert isinstance(run, Refused)


class TestCancellingTasks:
    """The unfinished events of these tasks close. Later events of them still run."""

    def test_canceled_events_are_counted_and_named(self) -> None:
        of = life(strategy(reminded(days=3), parts=GREET), new("2026-03-10"))

        applied = of.applied(CancelTasks(tasks=("remind", "greet", "unknown"), by=ANN), NOON)

        assert applied.canceled_events == 2
        assert of.audit[-1].command == "cancel-tasks greet,remind"
        assert of.open == [("bill", "2026-03-10T00:00")]

    def test_canceling_the_main_task_skips_the_cycle(self) -> None:
        of = life(strategy(), new("2026-03-10"))

        of.decide(CancelTasks(tasks=("bill",), by=ANN), NOON)

        assert of.instance.plan.cycle == 2

    def test_a_task_without_events_changes_nothing(self) -> None:
        of = life()

        assert isinstance(of.decide(CancelTasks(tasks=("unknown",), by=ANN), NOON), AlreadyThere)

    def test_a_paused_instance_stays_paused(self) -> None:
        of = life(strategy(parts=GREET))
        of.decide(Pause(by=ANN), NOON)

        of.decide(CancelTasks(tasks=("greet", "bill"), by=ANN), NOON)

        assert of.instance.status is InstanceStatus.PAUSED
        assert of.open == [("bill", "2026-02-28T00:00")]
