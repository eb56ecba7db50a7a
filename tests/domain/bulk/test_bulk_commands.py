"""The bulk operations that an instance remembers. Source: docs/decisions/0019."""

import pytest
from msgspec.structs import replace

from shared.domain.ids import OperationSid
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import Actor, AlreadyThere, Applied, Refused
from shared.domain.lifecycle.commands import Cancel, CancelTasks, Command, Pause, Resume
from shared.domain.lifecycle.decide import decide
from tests.factories import NOON, a_strategy, an_event, an_instance

ONE, TWO = OperationSid("b-1"), OperationSid("b-2")
BY_ONE, BY_TWO = (Actor(name="ann", reason="closing", operation=sid) for sid in (ONE, TWO))


def verdict_of(instance: Instance, command: Command) -> Applied | AlreadyThere | Refused:
    return decide(a_strategy(), instance, command, now=NOON)


def applied(instance: Instance, command: Command) -> Applied:
    verdict = verdict_of(instance, command)
    assert isinstance(verdict, Applied)
    return verdict


class TestAChangeThroughAnOperation:
    """The instance and the audit entry name the operation that changed it."""

    @pytest.mark.parametrize(
        "command", [Pause(by=BY_ONE), Cancel(by=BY_ONE), CancelTasks(tasks=("charge",), by=BY_ONE)]
    )
    def test_instance_and_audit_entry_name_the_operation(self, command: Command) -> None:
        verdict = applied(an_instance(an_event(date=NOON.replace(year=2027))), command)

        assert verdict.instance.operations == (ONE,)
        assert verdict.audit is not None
        assert (verdict.audit.operation, verdict.audit.by, verdict.audit.reason) == (ONE, "ann", "closing")

    def test_a_command_without_an_operation_names_none(self) -> None:
        verdict = applied(an_instance(), Pause(by=Actor(name="ann")))

        assert verdict.instance.operations == ()
        assert verdict.audit is not None
        assert verdict.audit.operation is None

    def test_the_last_four_operations_are_remembered(self) -> None:
        known = tuple(OperationSid(f"b-{number}") for number in range(10, 14))

        verdict = applied(an_instance(operations=known), Pause(by=BY_ONE))

        assert verdict.instance.operations == (*known[1:], ONE)


class TestOnce:
    """An operation changes an instance once, even if it is repeated, and whatever has happened since."""

    def test_a_change_that_was_undone_is_not_repeated(self) -> None:
        paused = applied(an_instance(), Pause(by=BY_ONE)).instance
        resumed = applied(paused, Resume(by=Actor(name="ben"))).instance
        assert resumed.status is InstanceStatus.ACTIVE

        assert verdict_of(resumed, Pause(by=BY_ONE)) == AlreadyThere(instance=resumed)

    def test_the_next_event_of_a_task_is_not_canceled_as_well(self) -> None:
        command = CancelTasks(tasks=("charge",), by=BY_ONE)
        once = applied(an_instance(an_event()), command).instance
        assert [event.task for event in once.events] == ["charge"]

        assert verdict_of(once, command) == AlreadyThere(instance=once)
        again = applied(once, replace(command, by=BY_TWO)).instance
        assert again.plan.cycle == once.plan.cycle + 1

    def test_another_operation_changes_the_instance(self) -> None:
        paused = applied(an_instance(), Pause(by=BY_ONE)).instance

        canceled = applied(paused, Cancel(by=BY_TWO)).instance

        assert (canceled.status, canceled.operations) == (InstanceStatus.CANCELED, (ONE, TWO))

    def test_an_operation_without_an_effect_may_apply_later(self) -> None:
        paused = applied(an_instance(), Pause(by=Actor(name="ben"))).instance
        assert isinstance(verdict_of(paused, Pause(by=BY_ONE)), AlreadyThere)

        active = applied(paused, Resume(by=Actor(name="ben"))).instance

        assert applied(active, Pause(by=BY_ONE)).instance.status is InstanceStatus.PAUSED
