"""One instance is commanded in the request itself. Source: docs/decisions/0026."""

from typing import Any

from dev.memory.stores import MemoryInstances
from dev.memory.world import MemoryPorts
from shared.application.bulk.single import command_one
from shared.application.ports import StaleRevError
from shared.domain.bulk.operation import BulkCommand, ItemOutcome, ItemResult, MigrateTo
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.lifecycle.commands import Pause, Resume
from tests.application.bulk.bulk_worlds import ANN, CANCEL, Marred, a_world, joined

PAUSE = Pause(by=ANN)


def commanded(ports: MemoryPorts, command: BulkCommand, *, is_meant: bool = True) -> ItemResult:
    (instance,) = ports.instances.instances.values()
    return command_one(ports, instance, command, is_meant=lambda _: is_meant)


class TestOutcomes:
    """The result is that of one item of a bulk operation, but no operation is stored."""

    def test_a_changed_instance_is_audited_without_an_operation(self) -> None:
        ports = a_world()
        (sid,) = joined(ports, 1)

        assert commanded(ports, PAUSE) == ItemResult(sid=sid, outcome=ItemOutcome.CHANGED)

        stored = ports.instances.instances[sid]
        assert (stored.status, stored.operations) == (InstanceStatus.PAUSED, ())
        assert [(entry.command, entry.operation) for entry in ports.instances.audit] == [("pause", None)]
        assert ports.operations.bulks == {}

    def test_a_repeated_command_changes_nothing(self) -> None:
        ports = a_world()
        joined(ports, 1)
        commanded(ports, PAUSE)

        assert commanded(ports, PAUSE).outcome is ItemOutcome.ALREADY_THERE
        assert len(ports.instances.audit) == 1

    def test_a_refused_command_says_why(self) -> None:
        ports = a_world()
        joined(ports, 1)

        result = commanded(ports, MigrateTo(version=9, by=ANN))

        assert (result.outcome, result.why) == (ItemOutcome.REFUSED, "the strategy has no version 9")

    def test_an_instance_that_is_no_longer_meant_is_not_changed(self) -> None:
        ports = a_world()
        joined(ports, 1)

        result = commanded(ports, CANCEL, is_meant=False)

        assert (result.outcome, result.why) == (
            ItemOutcome.REFUSED,
            "the instance no longer matches the selection",
        )
        assert ports.instances.audit == []

    def test_an_instance_that_is_gone_is_unknown(self) -> None:
        class Raced(MemoryInstances):
            """A store in which the instance is removed before the first write."""

            def commit(self, instance: Instance, **_: Any) -> None:
                self.instances.pop(instance.sid, None)
                raise StaleRevError

            def load(self, sid: str) -> Instance | None:
                return self.instances.get(sid)  # type: ignore[call-overload, no-any-return]

        ports = a_world(Raced())
        joined(ports, 1)

        assert commanded(ports, PAUSE).outcome is ItemOutcome.UNKNOWN

    def test_an_instance_that_cannot_be_read_again_has_failed(self) -> None:
        class Racing(Marred):
            """A store in which another writer is faster, and leaves an instance that cannot be read."""

            def commit(self, instance: Instance, **_: Any) -> None:
                self.broken.add(instance.sid)
                raise StaleRevError

        ports = a_world(Racing())
        joined(ports, 1)

        result = commanded(ports, PAUSE)

        assert (result.outcome, result.why) == (
            ItemOutcome.FAILED,
            "StoredShapeError: is nothing that is known today",
        )


class TestWakeup:
    """A runner is woken if the change leaves something to run or to schedule."""

    def test_a_resumed_instance_gets_a_wakeup(self) -> None:
        ports = a_world()
        (sid,) = joined(ports, 1)
        commanded(ports, PAUSE)
        ports.wakeups.invoked.clear()

        commanded(ports, Resume(by=ANN))

        assert ports.wakeups.invoked == [sid]

    def test_a_paused_instance_gets_no_wakeup(self) -> None:
        ports = a_world()
        joined(ports, 1)

        commanded(ports, PAUSE)

        assert ports.wakeups.invoked == []
