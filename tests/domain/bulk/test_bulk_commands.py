"""What an instance remembers of the bulk operations that have changed it. Source: docs/decisions/0019."""

from dataclasses import replace

import pytest

from shared.domain.ids import OperationSid
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import Actor, AlreadyThere, Applied, Refused
from shared.domain.lifecycle.commands import Cancel, CancelTasks, Command, Pause, Resume
from shared.domain.lifecycle.decide import decide
from tests.factories import NOON, a_strategy, an_event, an_instance

ONE, TWO = OperationSid("b-1"), OperationSid("b-2")
BY_ONE, BY_TWO = (Actor(name="ann", reason="closing", operation=sid) for sid in (ONE, TWO))


def told(instance: Instance, command: Command) -> Applied | AlreadyThere | Refused:
    return decide(a_strategy(), instance, command, now=NOON)


def applied(instance: Instance, command: Command) -> Applied:
    verdict = told(instance, command)
    assert isinstance(verdict, Applied)
    return verdict


class TestAChangeThroughAnOperation:
    """The instance and the audit entry name the operation."""

    @pytest.mark.parametrize(
        "command", [Pause(by=BY_ONE), Cancel(by=BY_ONE), CancelTasks(tasks=("charge",), by=BY_ONE)]
    )
    def test_both_name_it(self, command: Command) -> None:
        verdict = applied(an_instance(an_event(date=NOON.replace(year=2027))), command)

        assert verdict.instance.operations == (ONE,)
        assert verdict.audit is not None
        assert (verdict.audit.operation, verdict.audit.by, verdict.audit.reason) == (ONE, "ann", "closing")

    def test_one_that_was_commanded_by_hand_names_none(self) -> None:
        verdict = applied(an_instance(), Pause(by=Actor(name="ann")))

        assert verdict.instance.operations == ()
        assert verdict.audit is not None
        assert verdict.audit.operation is None

    def test_the_last_four_are_remembered(self) -> None:
        known = tuple(OperationSid(f"b-{number}") for number in range(10, 14))

        verdict = applied(an_instance(operations=known), Pause(by=BY_ONE))

        assert verdict.instance.operations == (*known[1:], ONE)


class TestOnce:
    """An operation changes an instance once, whatever became of it since, however often it is told to."""

    def test_what_somebody_has_undone_since_is_not_done_again(self) -> None:
        paused = applied(an_instance(), Pause(by=BY_ONE)).instance
        resumed = applied(paused, Resume(by=Actor(name="ben"))).instance
        assert resumed.status is InstanceStatus.ACTIVE

        assert told(resumed, Pause(by=BY_ONE)) == AlreadyThere(instance=resumed)

    def test_the_next_event_of_a_task_is_not_canceled_as_well(self) -> None:
        command = CancelTasks(tasks=("charge",), by=BY_ONE)
        once = applied(an_instance(an_event()), command).instance
        assert [event.task for event in once.events] == ["charge"]

        assert told(once, command) == AlreadyThere(instance=once)
        again = applied(once, replace(command, by=BY_TWO)).instance
        assert again.plan.cycle == once.plan.cycle + 1

    def test_another_operation_does_what_it_is_for(self) -> None:
        paused = applied(an_instance(), Pause(by=BY_ONE)).instance

        canceled = applied(paused, Cancel(by=BY_TWO)).instance

        assert (canceled.status, canceled.operations) == (InstanceStatus.CANCELED, (ONE, TWO))

    def test_what_it_left_as_it_was_it_may_change_later(self) -> None:
        paused = applied(an_instance(), Pause(by=Actor(name="ben"))).instance
        assert isinstance(told(paused, Pause(by=BY_ONE)), AlreadyThere)

        active = applied(paused, Resume(by=Actor(name="ben"))).instance

        assert applied(active, Pause(by=BY_ONE)).instance.status is InstanceStatus.PAUSED
