"""Failures during a bulk operation, and the recovery from them. Source: docs/decisions/0019."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryOperations
from dev.memory.world import MemoryPorts
from shared.application.bulk.select import MAX_SCANNED
from shared.application.bulk.start import command_operation
from shared.application.commit import ContentionError
from shared.application.ports import Operation, StaleRevError
from shared.application.start import Repeatable
from shared.domain.bulk.operation import (
    GIVEN_UP,
    LEASE,
    BulkOperation,
    BulkStatus,
    Counts,
    ItemOutcome,
    OperationCommand,
    assign_worker,
)
from shared.domain.bulk.selection import OfFolder, OfIds, OfStrategy
from shared.domain.ids import InstanceSid, OperationSid, StrategySid
from shared.domain.instance.event import EventKind
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Actor, AuditEntry
from tests.application.bulk.bulk_worlds import (
    GYM,
    Marred,
    a_world,
    begun,
    joined,
    open_gym,
    progress,
    statuses,
    stored,
)
from tests.application.sweeps import swept
from tests.bulk_runs import BATCH

BEN = Actor(name="ben")
TWO_MINUTES = timedelta(minutes=2)


class DiedError(BaseException):
    """The runner crashes at this point."""


@dataclass(slots=True)
class Deadly(Marred):
    """A store at which a runner crashes: after ``lives`` commits, or at the instance ``deadly``."""

    lives: int = 1_000_000
    deadly: InstanceSid | None = None

    def commit(self, instance: Instance, **beside: Any) -> None:
        if instance.sid == self.deadly:
            raise DiedError
        Marred.commit(self, instance, **beside)
        self.lives -= 1
        if self.lives == 0:
            raise DiedError


@dataclass(slots=True)
class Meddled(MemoryOperations):
    """A store that runs ``meddle`` once before a commit, or loses replies."""

    meddle: Callable[[], object] | None = None
    loses_replies: bool = False

    def create(self, bulk: BulkOperation, *, audit: AuditEntry) -> None:
        MemoryOperations.create(self, bulk, audit=audit)
        self._lose_reply()

    def commit(self, operation: Operation, *, audit: AuditEntry | None = None) -> None:
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            meddle()
        MemoryOperations.commit(self, operation, audit=audit)
        self._lose_reply()

    def _lose_reply(self) -> None:
        if self.loses_replies:
            raise StaleRevError


def dies(ports: MemoryPorts, sid: OperationSid) -> None:
    with pytest.raises(DiedError):
        progress(ports, sid)


def taken_up(ports: MemoryPorts, sid: OperationSid) -> int:
    """Let the sweeper wake a runner two minutes later, and return how many instances it commanded."""
    ports.clock.at += TWO_MINUTES
    ports.wakeups.operations.clear()
    swept(ports)
    assert ports.wakeups.operations == [sid]
    return progress(ports, sid).done


def assert_canceled_once(ports: MemoryPorts, sids: list[InstanceSid]) -> None:
    """Assert that each instance was canceled, audited and given its on-cancel event exactly once."""
    audited = [entry.target for entry in ports.instances.audit if entry.command == "cancel"]
    assert sorted(audited) == sorted(sids)
    for sid in sids:
        instance = ports.instances.instances[sid]
        assert instance.status.value == "CANCELED"
        assert [event.kind for event in instance.events] == [EventKind.ON_CANCEL]


class TestARunnerThatDies:
    """Another runner continues within two minutes. Nothing is done twice, and all is counted once."""

    @pytest.mark.parametrize("lives", [1, 12, 25, 26, 40, 60])
    def test_another_runner_continues_after_a_crash(self, lives: int) -> None:
        instances = Deadly()
        ports = a_world(instances)
        sids = joined(ports, 60)
        bulk = begun(ports)
        instances.lives = lives
        dies(ports, bulk.sid)
        assert stored(ports, bulk.sid).counts.done <= lives

        taken_up(ports, bulk.sid)

        assert stored(ports, bulk.sid).counts == Counts(changed=60)
        assert stored(ports, bulk.sid).status is BulkStatus.COMPLETED
        assert_canceled_once(ports, sids)

    def test_a_wakeup_lost_in_a_crash_is_scheduled_again(self) -> None:
        instances = Deadly()
        ports = a_world(instances)
        sids = joined(ports, 30)
        bulk = begun(ports)
        instances.lives = 1
        dies(ports, bulk.sid)
        assert ports.wakeups.armed == {}

        taken_up(ports, bulk.sid)

        assert sorted(sid for _, sid in ports.wakeups.armed.values()) == sorted(sids)

    def test_a_runner_continues_after_a_crashed_request(self) -> None:
        instances = Deadly()
        ports = a_world(instances)
        sids = joined(ports, 10)
        instances.lives = 4
        with pytest.raises(DiedError):
            begun(ports, repeatable=Repeatable(key="k", body_hash="b"))
        (sid,) = ports.operations.bulks

        taken_up(ports, sid)

        after = begun(ports, repeatable=Repeatable(key="k", body_hash="b"))
        assert (after.counts, len(after.results)) == (Counts(changed=10), 10)
        assert_canceled_once(ports, sids)

    def test_an_instance_that_crashes_every_runner_is_given_up(self) -> None:
        instances = Deadly()
        ports = a_world(instances)
        sids = joined(ports, 60)
        bulk = begun(ports)
        instances.deadly = sids[30]
        dies(ports, bulk.sid)
        for _ in range(GIVEN_UP - 1):
            ports.clock.at += TWO_MINUTES
            dies(ports, bulk.sid)

        taken_up(ports, bulk.sid)

        after = stored(ports, bulk.sid)
        assert (after.status, after.counts) == (BulkStatus.COMPLETED, Counts(changed=59, failed=1))
        (problem,) = after.problems
        assert (problem.sid, problem.why) == (sids[30], "5 runners in a row crashed at this instance")


class TestOrdersMeanwhile:
    """A command to a running operation takes effect from the next batch on. Finished work is counted."""

    def commanded_meanwhile(
        self, command: OperationCommand, *, at_batch: int = 2
    ) -> tuple[MemoryPorts, BulkOperation]:
        """Cancel 60 members, and command the operation just before a batch is saved."""
        ports = a_world()
        operations = Meddled()
        ports.access.operations = operations
        joined(ports, 60)
        bulk = begun(ports)
        commits = 0

        def count() -> None:
            nonlocal commits
            commits += 1
            if commits == at_batch + 1:
                command_operation(ports, stored(ports, bulk.sid), command, by=BEN)
            else:
                operations.meddle = count

        operations.meddle = count
        progress(ports, bulk.sid)
        return ports, stored(ports, bulk.sid)

    @pytest.mark.parametrize(
        (("command", "status")), [(OperationCommand.PAUSE, "PAUSED"), (OperationCommand.CANCEL, "CANCELED")]
    )
    def test_a_commanded_operation_stops_and_counts_what_was_done(
        self, command: OperationCommand, status: str
    ) -> None:
        ports, bulk = self.commanded_meanwhile(command)

        canceled = [one for one in ports.instances.instances.values() if one.status.value == "CANCELED"]
        assert (bulk.status.value, bulk.batch_sids, bulk.sweep_at) == (status, (), None)
        assert bulk.counts == Counts(changed=len(canceled))
        assert len(canceled) == BATCH

    def test_a_resumed_operation_does_the_rest(self) -> None:
        ports, bulk = self.commanded_meanwhile(OperationCommand.PAUSE)

        command_operation(ports, bulk, OperationCommand.RESUME, by=BEN)
        progress(ports, bulk.sid)

        assert stored(ports, bulk.sid).counts == Counts(changed=60)
        assert_canceled_once(ports, list(ports.instances.instances))

    @pytest.mark.parametrize("command", [OperationCommand.PAUSE, OperationCommand.CANCEL])
    def test_the_batch_of_a_crashed_runner_is_counted_but_not_continued(
        self, command: OperationCommand
    ) -> None:
        instances = Deadly()
        ports = a_world(instances)
        sids = joined(ports, 60)
        bulk = begun(ports)
        instances.lives = 30
        dies(ports, bulk.sid)
        instances.broken = {sids[40]}
        command_operation(ports, stored(ports, bulk.sid), command, by=BEN)
        assert stored(ports, bulk.sid).counts == Counts(changed=25)

        taken_up(ports, bulk.sid)

        after = stored(ports, bulk.sid)
        left = tuple(sids[30:50]) if command is OperationCommand.PAUSE else ()
        assert (after.counts, after.batch_sids, after.sweep_at) == (Counts(changed=30), left, None)
        assert statuses(ports, sids[30:]) == {"ACTIVE"}

    def test_a_resumed_operation_finishes_its_batch_first(self) -> None:
        instances = Deadly()
        ports = a_world(instances)
        sids = joined(ports, 60)
        bulk = begun(ports)
        instances.lives = 30
        dies(ports, bulk.sid)
        command_operation(ports, stored(ports, bulk.sid), OperationCommand.PAUSE, by=BEN)
        taken_up(ports, bulk.sid)

        command_operation(ports, stored(ports, bulk.sid), OperationCommand.RESUME, by=BEN)
        assert progress(ports, bulk.sid).done == 30

        assert stored(ports, bulk.sid).counts == Counts(changed=60)
        assert_canceled_once(ports, sids)


class TestTwoRunners:
    """A runner that wakes up after another has taken over does nothing and counts nothing."""

    def test_a_late_runner_stops_at_its_next_write(self) -> None:
        ports = a_world()
        operations = Meddled()
        ports.access.operations = operations
        sids = joined(ports, 60)
        bulk = begun(ports)
        others: list[int] = []

        def takes_over() -> None:
            ports.clock.at += LEASE
            others.append(progress(ports, bulk.sid).done)

        operations.meddle = lambda: setattr(operations, "meddle", takes_over)

        assert progress(ports, bulk.sid).done == 0

        assert others == [60]
        assert stored(ports, bulk.sid).counts == Counts(changed=60)
        assert_canceled_once(ports, sids)

    def test_a_stalled_runner_commands_no_more_of_its_batch(self) -> None:
        @dataclass(slots=True)
        class Standing(Marred):
            stands_at: int = 5

            def commit(self, instance: Instance, **beside: Any) -> None:
                Marred.commit(self, instance, **beside)
                self.stands_at -= 1
                if self.stands_at == 0:
                    ports.clock.at += LEASE

        instances = Standing()
        ports = a_world(instances)
        joined(ports, 30)
        instances.stands_at = 5
        bulk = begun(ports)

        progress(ports, bulk.sid, lasts=timedelta(seconds=30))

        after = stored(ports, bulk.sid)
        assert (after.counts, len(after.batch_sids)) == (Counts(changed=5), 20)

    def test_the_second_runner_leaves_the_operation(self) -> None:
        ports = a_world()
        operations = Meddled()
        ports.access.operations = operations
        joined(ports, 60)
        bulk = begun(ports)
        operations.meddle = lambda: progress(ports, bulk.sid)

        assert progress(ports, bulk.sid).done == 0

        assert stored(ports, bulk.sid).counts == Counts(changed=60)

    def test_only_one_of_two_simultaneous_runners_works(self) -> None:
        ports = a_world()
        operations = Meddled()
        ports.access.operations = operations
        joined(ports, 60)
        bulk = begun(ports)
        others = assign_worker(bulk, worker="the other", now=ports.clock.at)
        operations.meddle = lambda: MemoryOperations.commit(operations, others)

        assert progress(ports, bulk.sid).done == 0

        assert stored(ports, bulk.sid) == others


class TestLostReplies:
    """A write whose reply was lost is recognized and counts."""

    def test_an_operation_with_lost_replies_completes(self) -> None:
        ports = a_world()
        ports.access.operations = Meddled(loses_replies=True)
        sids = joined(ports, 60)

        bulk = begun(ports)
        progress(ports, bulk.sid)

        assert stored(ports, bulk.sid).counts == Counts(changed=60)
        assert_canceled_once(ports, sids)

    def test_a_request_with_lost_replies_returns_completed(self) -> None:
        ports = a_world()
        ports.access.operations = Meddled(loses_replies=True)
        joined(ports, 3)

        assert begun(ports).status is BulkStatus.COMPLETED

    def test_an_overtaken_request_returns_the_stored_operation(self) -> None:
        ports = a_world()
        operations = Meddled()
        ports.access.operations = operations
        joined(ports, 3)

        def take_over() -> None:
            ports.clock.at += LEASE
            progress(ports, next(iter(ports.operations.bulks)))

        operations.meddle = take_over
        bulk = begun(ports)

        assert (bulk.status, bulk.counts) == (BulkStatus.COMPLETED, Counts(changed=3))

    def test_results_saved_before_a_command_are_not_saved_twice(self) -> None:
        ports = a_world()
        joined(ports, 60)
        bulk = begun(ports)

        class PausedAtOnce(MemoryOperations):
            """Its second write, with the first slice's results, is answered only after an order came in."""

            writes = 0

            def commit(self, operation: Operation, *, audit: AuditEntry | None = None) -> None:
                MemoryOperations.commit(self, operation, audit=audit)
                self.writes += 1
                if self.writes == 3:
                    command_operation(ports, stored(ports, bulk.sid), OperationCommand.PAUSE, by=BEN)
                    raise StaleRevError

        ports.access.operations = PausedAtOnce(bulks=ports.operations.bulks)

        progress(ports, bulk.sid)
        assert stored(ports, bulk.sid).counts == Counts(changed=25)
        ports.clock.at += TWO_MINUTES
        progress(ports, bulk.sid)
        command_operation(ports, stored(ports, bulk.sid), OperationCommand.RESUME, by=BEN)
        progress(ports, bulk.sid)

        assert stored(ports, bulk.sid).counts == Counts(changed=60)

    def test_a_command_whose_reply_was_lost_counts(self) -> None:
        ports = a_world()
        ports.access.operations = Meddled(loses_replies=True)
        joined(ports, 60)
        bulk = begun(ports)

        assert command_operation(ports, bulk, OperationCommand.PAUSE, by=BEN) == stored(ports, bulk.sid)

    def test_a_sid_of_another_operation_is_an_error(self) -> None:
        ports = a_world()
        joined(ports, 1)
        first = begun(ports)
        ports.ids.count -= 2

        with pytest.raises(StaleRevError):
            begun(ports)

        assert stored(ports, first.sid) == first

    def test_the_second_of_two_simultaneous_requests_finds_the_first(self) -> None:
        class Late(Meddled):
            """Shows nothing until something was created."""

            def load(self, sid: OperationSid) -> Operation | None:
                self.looks = getattr(self, "looks", 0) + 1
                return None if self.looks == 1 else MemoryOperations.load(self, sid)

        ports = a_world()
        joined(ports, 1)
        key = Repeatable(key="k", body_hash="b")
        first = begun(ports, repeatable=key)
        ports.access.operations = Late(bulks=ports.operations.bulks)
        ports.clock.at += timedelta(seconds=1)

        assert begun(ports, repeatable=key) == first


class TestContention:
    """Endless lost races end with an error."""

    def test_a_command_that_loses_every_race_raises(self) -> None:
        class Busy(MemoryOperations):
            def commit(self, _operation: Operation, *, audit: AuditEntry | None = None) -> None:
                assert audit is not None
                raise StaleRevError

        ports = a_world()
        joined(ports, 60)
        bulk = begun(ports)
        ports.access.operations = Busy(bulks=ports.operations.bulks)

        with pytest.raises(ContentionError, match="times during one command"):
            command_operation(ports, bulk, OperationCommand.PAUSE, by=BEN)

    def test_results_that_lose_every_race_raise(self) -> None:
        class Busy(MemoryOperations):
            """A store in which another writer is always faster, without taking the operation over."""

            def commit(self, operation: Operation, *, audit: AuditEntry | None = None) -> None:
                stored = self.bulks[operation.sid]
                self.bulks[operation.sid] = replace(stored, rev=stored.rev + 1)
                if stored.worker is None:
                    MemoryOperations.commit(self, replace(operation, rev=stored.rev + 2), audit=audit)
                    return
                raise StaleRevError

        ports = a_world()
        joined(ports, 60)
        bulk = begun(ports)
        ports.access.operations = Busy(bulks=ports.operations.bulks)

        with pytest.raises(ContentionError, match="while its runner saved results"):
            progress(ports, bulk.sid)

    def test_a_command_to_a_removed_operation_raises(self) -> None:
        ports = a_world()
        joined(ports, 60)
        bulk = begun(ports)
        ports.operations.bulks.clear()

        with pytest.raises(ContentionError):
            command_operation(ports, bulk, OperationCommand.PAUSE, by=BEN)


class TestInstancesThatFail:
    """An instance that cannot be read or decided on is reported and does not stop the others."""

    def test_each_failed_instance_has_its_reason(self) -> None:
        instances = Marred()
        ports = a_world(instances)
        sids = joined(ports, 60)
        instances.broken = {sids[0], sids[30]}
        bulk = begun(ports)

        done = progress(ports, bulk.sid)

        after = stored(ports, bulk.sid)
        assert after.counts == Counts(changed=58, failed=2)
        why = "StoredShapeError: is nothing that is known today"
        assert done.failed == {sids[0]: why, sids[30]: why}
        assert {(problem.outcome, problem.why) for problem in after.problems} == {(ItemOutcome.FAILED, why)}

    def test_an_unreadable_instance_selected_by_id_fails(self) -> None:
        instances = Marred()
        ports = a_world(instances)
        one, two = joined(ports, 2)
        instances.broken = {one}

        bulk = begun(ports, OfIds(ids=(one, two)))

        assert bulk.counts == Counts(changed=1, failed=1)


class TestALongScan:
    """If many instances are scanned for few, the cursor is saved in between."""

    def test_the_cursor_moves_even_if_nothing_is_selected(self) -> None:
        ports = a_world()
        joined(ports, MAX_SCANNED + 50)
        second = joined(ports, 2, version=2)

        bulk = begun(ports, OfStrategy(strategy=GYM, version=2))
        assert (bulk.status, bulk.counts.done) == (BulkStatus.ACTIVE, 0)
        progress(ports, bulk.sid, lasts=timedelta(seconds=21))

        assert stored(ports, bulk.sid).counts == Counts(changed=2)
        assert statuses(ports, second) == {"CANCELED"}

    def test_strategies_without_instances_count_as_scanned(self) -> None:
        ports = a_world()
        for number in range(MAX_SCANNED):
            open_gym(ports, StrategySid(f"t-{number:03}"), folder="/empty")
        open_gym(ports, StrategySid("t-z"), folder="/empty/last")
        sids = joined(ports, 3, gym=StrategySid("t-z"))

        bulk = begun(ports, OfFolder(folder="/empty"))
        assert (bulk.status, bulk.counts.done) == (BulkStatus.ACTIVE, 0)
        progress(ports, bulk.sid)

        assert stored(ports, bulk.sid).counts == Counts(changed=3)
        assert statuses(ports, sids) == {"CANCELED"}
