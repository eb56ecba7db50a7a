"""Bulk operations from the view of an account. Source: docs/design.md section 8; docs/contracts/core.md section 5."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryInstances
from dev.memory.world import MemoryPorts
from shared.application.audit import Window, audit_page, from_the_end
from shared.application.bulk.select import MAX_COUNTED
from shared.application.bulk.start import BulkRequest, OperationOverError, command_operation, dry_run
from shared.application.start import KeyReusedError, Repeatable
from shared.domain.bulk.operation import (
    MAX_IN_REQUEST,
    BulkCommand,
    BulkStatus,
    Counts,
    ItemOutcome,
    MigrateTo,
    OperationCommand,
)
from shared.domain.bulk.pace import PER_SECOND
from shared.domain.bulk.selection import OfFolder, OfIds, OfStrategy, Selection
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.event import EventKind
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import CancelTasks, Pause, Resume
from shared.domain.strategy.model import OnResume
from tests.application.bulk.bulk_worlds import (
    ACCOUNT,
    ANN,
    CANCEL,
    GYM,
    NOON,
    WHOLE_GYM,
    Marred,
    a_world,
    begun,
    joined,
    open_gym,
    progress,
    statuses,
    stored,
)
from tests.bulk_runs import BATCH

BEN = Actor(name="ben")
PAUSE = Pause(by=ANN)


def changed_by(ports: MemoryPorts, selection: Selection) -> set[InstanceSid]:
    """Return which instances an operation on a selection changes, whether at once or by a runner."""
    bulk = begun(ports, selection, PAUSE)
    progress(ports, bulk.sid)
    after = stored(ports, bulk.sid)
    found = {sid for sid, one in ports.instances.instances.items() if bulk.sid in one.operations}
    assert (after.status, after.counts.changed) == (BulkStatus.COMPLETED, len(found))
    return found


class TestFewInstances:
    """The request itself commands up to 25 instances and returns each result."""

    def test_the_request_commands_up_to_25_instances(self) -> None:
        ports = a_world()
        sids = joined(ports, MAX_IN_REQUEST)

        bulk = begun(ports)

        assert (bulk.status, bulk.counts) == (BulkStatus.COMPLETED, Counts(changed=MAX_IN_REQUEST))
        assert [result.sid for result in bulk.results] == sids
        assert statuses(ports, sids) == {"CANCELED"}
        assert ports.wakeups.operations == []
        assert stored(ports, bulk.sid) == bulk

    def test_each_instance_with_events_left_gets_a_wakeup(self) -> None:
        ports = a_world()
        sids = joined(ports, 2)

        begun(ports)
        assert (ports.wakeups.invoked, ports.wakeups.armed) == (sids, {})

        ports.wakeups.invoked.clear()
        joined(ports, 2)
        begun(ports, command=PAUSE)
        assert ports.wakeups.invoked == []

    def test_each_result_names_its_outcome_and_reason(self) -> None:
        ports = a_world()
        one, two, three, four = joined(ports, 4)
        for sid, status in ((two, InstanceStatus.PAUSED), (three, InstanceStatus.COMPLETED)):
            ports.instances.instances[sid] = replace(ports.instances.instances[sid], status=status)
        ports.instances.instances[four] = replace(ports.instances.instances[four], account_id=AccountId("b"))

        bulk = begun(ports, OfIds(ids=(one, two, three, four, InstanceSid("gone"))), PAUSE)

        assert [(result.outcome, result.why) for result in bulk.results] == [
            (ItemOutcome.CHANGED, None),
            (ItemOutcome.ALREADY_THERE, None),
            (ItemOutcome.REFUSED, "the instance is COMPLETED"),
            (ItemOutcome.UNKNOWN, "there is no such instance"),
            (ItemOutcome.UNKNOWN, "there is no such instance"),
        ]
        assert bulk.problems == bulk.results[2:]

    def test_an_operation_on_nothing_completes_at_once(self) -> None:
        bulk = begun(a_world())

        assert (bulk.status, bulk.counts, bulk.results) == (BulkStatus.COMPLETED, Counts(), ())

    def test_a_request_out_of_time_leaves_the_rest_to_a_runner(self) -> None:
        class Slow(MemoryInstances):
            def commit(self, instance: Instance, **beside: Any) -> None:
                MemoryInstances.commit(self, instance, **beside)
                ports.clock.at += timedelta(seconds=4)

        ports = a_world()
        sids = joined(ports, 10)
        ports.instances = Slow(instances=ports.instances.instances)

        bulk = begun(ports)

        assert (bulk.status, bulk.worker, bulk.counts.done) == (BulkStatus.ACTIVE, None, 3)
        assert ports.wakeups.operations == [bulk.sid]
        assert progress(ports, bulk.sid).done == 7
        assert statuses(ports, sids) == {"CANCELED"}


class TestManyInstances:
    """A runner commands more than 25 instances, at a fixed rate."""

    def test_more_than_25_instances_wake_a_runner(self) -> None:
        ports = a_world()
        sids = joined(ports, MAX_IN_REQUEST + 1)

        bulk = begun(ports)

        assert (bulk.status, bulk.counts.done) == (BulkStatus.ACTIVE, 0)
        assert ports.wakeups.operations == [bulk.sid]
        assert statuses(ports, sids) == {"ACTIVE"}

    def test_every_instance_is_commanded_once_and_audited(self) -> None:
        ports = a_world()
        sids = joined(ports, 60)
        bulk = begun(ports)

        assert progress(ports, bulk.sid).done == 60

        after = stored(ports, bulk.sid)
        assert (after.status, after.counts) == (BulkStatus.COMPLETED, Counts(changed=60))
        assert (after.results, after.batch_sids, after.sweep_at) == ((), (), None)
        assert statuses(ports, sids) == {"CANCELED"}
        cancelations = [entry for entry in ports.instances.audit if entry.command == "cancel"]
        assert sorted(entry.target for entry in cancelations) == sorted(sids)
        assert {(entry.operation, entry.by, entry.reason) for entry in cancelations} == {
            (bulk.sid, "ann", "the gym closes")
        }

    def test_on_cancel_events_are_created_once_and_scheduled(self) -> None:
        ports = a_world()
        sids = joined(ports, 30)

        progress(ports, begun(ports).sid)

        for sid in sids:
            (event,) = ports.instances.instances[sid].events
            assert event.kind is EventKind.ON_CANCEL
        assert sorted(sid for _, sid in ports.wakeups.armed.values()) == sorted(sids)
        assert ports.wakeups.invoked == []

    def test_instances_are_commanded_at_a_fixed_rate(self) -> None:
        ports = a_world()
        joined(ports, 200)
        bulk = begun(ports)
        began = ports.clock.at

        progress(ports, bulk.sid)

        paced = timedelta(seconds=(200 - BATCH) / PER_SECOND)
        assert paced <= ports.clock.at - began <= paced + timedelta(seconds=0.1)

    def test_a_runner_out_of_time_wakes_another_invocation(self) -> None:
        ports = a_world()
        joined(ports, 80)
        bulk = begun(ports)
        ports.wakeups.operations.clear()

        assert progress(ports, bulk.sid, lasts=timedelta(seconds=20.1)).done == 50
        assert (stored(ports, bulk.sid).counts.done, ports.wakeups.operations) == (50, [bulk.sid])

        assert progress(ports, bulk.sid).done == 30
        assert stored(ports, bulk.sid).counts == Counts(changed=80)

    def test_a_runner_without_time_wakes_no_other(self) -> None:
        ports = a_world()
        joined(ports, 30)
        bulk = begun(ports)
        ports.wakeups.operations.clear()

        assert progress(ports, bulk.sid, lasts=timedelta(seconds=20)).done == 0

        assert ports.wakeups.operations == []
        assert stored(ports, bulk.sid).sweep_at == ports.clock.at

    def test_an_operation_in_work_is_not_taken_twice(self) -> None:
        ports = a_world()
        joined(ports, 30)
        bulk = begun(ports)
        ports.operations.bulks[bulk.sid] = replace(bulk, sweep_at=ports.clock.at + timedelta(seconds=50))

        assert progress(ports, bulk.sid).done == 0

    def test_a_completed_operation_commands_nothing(self) -> None:
        ports = a_world()
        joined(ports, 2)

        assert progress(ports, begun(ports).sid).done == 0


class TestASelection:
    """A selection is by ids, strategy or folder, narrowed by version, status and dates."""

    def test_ids_are_commanded_in_the_given_order(self) -> None:
        ports = a_world()
        sids = joined(ports, 40)
        chosen = tuple(reversed(sids[:30]))

        assert changed_by(ports, OfIds(ids=chosen)) == set(chosen)

    def test_a_strategy_selects_its_unfinished_instances(self) -> None:
        ports = a_world()
        sids = joined(ports, 40)
        open_gym(ports, StrategySid("s-2"))
        joined(ports, 3, gym=StrategySid("s-2"))
        finished = ports.instances.instances[sids[0]]
        ports.instances.instances[sids[0]] = replace(finished, status=InstanceStatus.COMPLETED)

        assert changed_by(ports, WHOLE_GYM) == set(sids[1:])

    def test_a_version_selects_only_its_instances(self) -> None:
        ports = a_world()
        joined(ports, 40)
        second = joined(ports, 5, version=2)
        joined(ports, 40)

        bulk = begun(ports, OfStrategy(strategy=GYM, version=2), PAUSE)

        assert (bulk.status, [result.sid for result in bulk.results]) == (BulkStatus.COMPLETED, second)

    def test_a_status_selects_only_instances_that_have_it(self) -> None:
        ports = a_world()
        sids = joined(ports, 40)
        paused = changed_by(ports, OfIds(ids=tuple(sids[::2])))
        request = OfStrategy(strategy=GYM, statuses=(InstanceStatus.ACTIVE,))

        assert changed_by(ports, request) == set(sids) - paused

    def test_both_creation_dates_are_included(self) -> None:
        ports = a_world()
        sids = joined(ports, 10)
        created = [ports.instances.instances[sid].created_at for sid in sids]
        request = OfStrategy(strategy=GYM, created_from=created[2], created_to=created[5])

        assert changed_by(ports, request) == set(sids[2:6])

    def test_a_folder_selects_its_strategies_and_those_of_subfolders(self) -> None:
        ports = a_world()
        inside, below, beside = (StrategySid(f"s-{name}") for name in ("in", "below", "beside"))
        open_gym(ports, inside, folder="/de")
        open_gym(ports, below, folder="/de/berlin")
        open_gym(ports, beside, folder="/denmark")
        joined(ports, 4)
        sids = joined(ports, 20, gym=inside) + joined(ports, 30, gym=below)
        joined(ports, 4, gym=beside)

        assert changed_by(ports, OfFolder(folder="/de")) == set(sids)

    def test_each_of_many_strategies_is_scanned_once(self) -> None:
        ports = a_world()
        for number in range(60):
            open_gym(ports, StrategySid(f"t-{number:02}"), folder="/many")
        sids = [sid for number in range(60) for sid in joined(ports, 1, gym=StrategySid(f"t-{number:02}"))]

        assert changed_by(ports, OfFolder(folder="/many")) == set(sids)

    def test_a_strategy_deleted_during_the_scan_does_not_stop_it(self) -> None:
        ports = a_world()
        first, second = StrategySid("s-a"), StrategySid("s-b")
        open_gym(ports, first, folder="/f")
        open_gym(ports, second, folder="/f")
        sids = joined(ports, 60, gym=first) + joined(ports, 10, gym=second)
        bulk = begun(ports, OfFolder(folder="/f"))
        progress(ports, bulk.sid, lasts=timedelta(seconds=20.05))
        assert stored(ports, bulk.sid).cursor.strategy == first

        ports.strategies.heads[first] = replace(ports.strategies.heads[first], deleted_at=NOON)
        progress(ports, bulk.sid)

        assert stored(ports, bulk.sid).counts == Counts(changed=70)
        assert statuses(ports, sids) == {"CANCELED"}

    def test_instances_created_later_are_not_selected(self) -> None:
        ports = a_world()
        before = joined(ports, 40)
        ports.clock.at += timedelta(seconds=1)
        bulk = begun(ports)
        ports.clock.at += timedelta(seconds=1)
        later = joined(ports, 5)

        progress(ports, bulk.sid)

        assert (statuses(ports, before), statuses(ports, later)) == ({"CANCELED"}, {"ACTIVE"})

    def test_an_id_created_later_is_unknown(self) -> None:
        ports = a_world()
        sids = joined(ports, 30)
        bulk = begun(ports, OfIds(ids=(*sids, InstanceSid("i0031"))))
        ports.clock.at += timedelta(seconds=1)
        assert joined(ports, 1) != []
        ports.instances.instances[InstanceSid("i0031")] = replace(
            ports.instances.instances[sids[0]], sid=InstanceSid("i0031"), created_at=ports.clock.at
        )

        progress(ports, bulk.sid)

        assert stored(ports, bulk.sid).counts == Counts(changed=30, unknown=1)


class TestCommands:
    """A command in a bulk operation does to each instance the same as alone."""

    def test_a_resume_keeps_its_rule_for_missed_dates(self) -> None:
        ports = a_world()
        sids = joined(ports, 3)
        begun(ports, command=PAUSE)
        ports.clock.at += timedelta(days=800)

        begun(ports, command=Resume(by=ANN, on_late=OnResume.SKIP))

        for sid in sids:
            main = ports.instances.instances[sid].main_event
            assert main is not None
            assert main.date > ports.clock.at

    def test_a_task_is_canceled_once_in_each_instance(self) -> None:
        ports = a_world()
        sids = joined(ports, 3)

        bulk = begun(ports, command=CancelTasks(tasks=("charge-fee",), by=ANN))

        assert bulk.counts == Counts(changed=3)
        assert {ports.instances.instances[sid].plan.cycle for sid in sids} == {2}


class TestMigrating:
    """Each instance moves to that version of its own strategy."""

    def two_versions(self) -> tuple[MemoryPorts, list[InstanceSid]]:
        ports = a_world()
        sids = joined(ports, 3)
        (strategy,) = list(ports.strategies.strategies.values())
        ports.strategies.add(replace(strategy, version=2))
        return ports, sids

    def test_all_selected_instances_are_migrated(self) -> None:
        ports, sids = self.two_versions()

        bulk = begun(ports, command=MigrateTo(version=2, by=ANN))

        assert bulk.counts == Counts(changed=3)
        assert {ports.instances.instances[sid].strategy_version for sid in sids} == {2}
        assert {entry.command for entry in ports.instances.audit} == {"migrate 1 to 2"}

    def test_an_unknown_version_is_refused_for_each_instance(self) -> None:
        ports, sids = self.two_versions()

        bulk = begun(ports, command=MigrateTo(version=7, by=ANN))

        assert bulk.counts == Counts(refused=3)
        assert bulk.problems[0].why == "the strategy has no version 7"
        assert {ports.instances.instances[sid].strategy_version for sid in sids} == {1}

    def test_a_migration_has_a_dry_run(self) -> None:
        ports, _ = self.two_versions()
        for version, outcome in (
            (2, ItemOutcome.CHANGED),
            (1, ItemOutcome.ALREADY_THERE),
            (7, ItemOutcome.REFUSED),
        ):
            request = BulkRequest(
                account=next(iter(ports.instances.instances.values())).account_id,
                selection=OfStrategy(strategy=next(iter(ports.instances.instances.values())).strategy_sid),
                command=MigrateTo(version=version, by=ANN),
            )
            assert {result.outcome for result in dry_run(ports, request).sample} == {outcome}


class TestOrders:
    """An operation can be paused, resumed and canceled, each with an audit entry."""

    def test_a_paused_operation_continues_after_its_resume(self) -> None:
        ports = a_world()
        sids = joined(ports, 60)
        bulk = begun(ports)
        progress(ports, bulk.sid, lasts=timedelta(seconds=20.05))
        command_operation(ports, stored(ports, bulk.sid), OperationCommand.PAUSE, by=BEN)
        done = stored(ports, bulk.sid).counts.done
        assert 0 < done < 60

        ports.clock.at += timedelta(hours=1)
        assert progress(ports, bulk.sid).done == 0
        ports.wakeups.operations.clear()
        command_operation(ports, stored(ports, bulk.sid), OperationCommand.RESUME, by=BEN)
        assert ports.wakeups.operations == [bulk.sid]
        progress(ports, bulk.sid)

        assert stored(ports, bulk.sid).counts == Counts(changed=60)
        assert statuses(ports, sids) == {"CANCELED"}

    def test_a_canceled_operation_leaves_the_rest_unchanged(self) -> None:
        ports = a_world()
        sids = joined(ports, 60)
        bulk = begun(ports)
        progress(ports, bulk.sid, lasts=timedelta(seconds=20.05))

        after = command_operation(ports, stored(ports, bulk.sid), OperationCommand.CANCEL, by=BEN)

        ports.clock.at += timedelta(hours=1)
        assert progress(ports, bulk.sid).done == 0
        assert (after.status, after.finished_at) == (BulkStatus.CANCELED, ports.clock.at - timedelta(hours=1))
        canceled = [sid for sid in sids if statuses(ports, [sid]) == {"CANCELED"}]
        assert len(canceled) == after.counts.changed

    def test_pausing_a_paused_operation_changes_nothing(self) -> None:
        ports = a_world()
        joined(ports, 30)
        bulk = command_operation(ports, begun(ports), OperationCommand.PAUSE, by=BEN)

        assert command_operation(ports, bulk, OperationCommand.PAUSE, by=BEN) is bulk

        commands = [entry.command for entry in ports.operations.audit]
        assert commands == ["bulk-cancel", "pause-operation"]

    def test_each_command_to_an_operation_is_audited(self) -> None:
        ports = a_world()
        joined(ports, 30)
        bulk = begun(ports)
        bulk = command_operation(ports, bulk, OperationCommand.PAUSE, by=Actor(name="ben", reason="too fast"))
        bulk = command_operation(ports, bulk, OperationCommand.RESUME, by=BEN)
        command_operation(ports, bulk, OperationCommand.CANCEL, by=BEN)

        told = [
            (e.target, e.command, e.by, e.from_state, e.to_state, e.reason) for e in ports.operations.audit
        ]
        assert told == [
            (bulk.sid, "bulk-cancel", "ann", None, "ACTIVE", "the gym closes"),
            (bulk.sid, "pause-operation", "ben", "ACTIVE", "PAUSED", "too fast"),
            (bulk.sid, "resume-operation", "ben", "PAUSED", "ACTIVE", None),
            (bulk.sid, "cancel-operation", "ben", "ACTIVE", "CANCELED", None),
        ]

    def test_a_completed_operation_refuses_commands(self) -> None:
        ports = a_world()
        joined(ports, 1)

        with pytest.raises(OperationOverError, match="the operation is COMPLETED"):
            command_operation(ports, begun(ports), OperationCommand.PAUSE, by=BEN)

    def test_the_audit_of_an_operation_includes_its_instances(self) -> None:
        ports = a_world()
        sids = joined(ports, 3)
        bulk = begun(ports)
        begun(ports, command=PAUSE)

        window = Window(account=ACCOUNT, since=NOON, target=bulk.sid)
        page = audit_page(ports, window, before=from_the_end(ports.clock.at), limit=9)

        assert sorted(entry.target for entry in page.entries) == sorted([*sids, bulk.sid])


class TestRepeating:
    """The same request with the same Idempotency-Key begins one operation, however often it is sent."""

    KEY = Repeatable(key="k-1", body_hash="b0d4")

    def test_a_repeated_request_returns_the_operation_as_it_is_now(self) -> None:
        ports = a_world()
        joined(ports, 2)
        first = begun(ports, repeatable=self.KEY)
        joined(ports, 2)

        assert begun(ports, repeatable=self.KEY) == first
        assert len(ports.operations.bulks) == 1

    def test_a_repeated_request_wakes_the_runner_again(self) -> None:
        ports = a_world()
        joined(ports, 30)
        bulk = begun(ports, repeatable=self.KEY)
        ports.wakeups.operations.clear()

        begun(ports, repeatable=self.KEY)

        assert ports.wakeups.operations == [bulk.sid]

    def test_the_same_key_with_another_body_is_refused(self) -> None:
        ports = a_world()
        begun(ports, repeatable=self.KEY)

        with pytest.raises(KeyReusedError):
            begun(ports, repeatable=replace(self.KEY, body_hash="0ther"))


class TestADryRun:
    """A dry run returns the number of instances and the results of the first. It stores nothing."""

    def request(self, selection: Selection = WHOLE_GYM, command: BulkCommand = CANCEL) -> BulkRequest:
        return BulkRequest(account=ACCOUNT, selection=selection, command=command)

    def test_a_dry_run_counts_instances_and_previews_results(self) -> None:
        ports = a_world()
        sids = joined(ports, 40)
        before = dict(ports.instances.instances)

        found = dry_run(ports, self.request())

        assert (found.count, found.is_exact) == (40, True)
        assert [(one.sid, one.outcome) for one in found.sample] == [
            (sid, ItemOutcome.CHANGED) for sid in sids[:MAX_IN_REQUEST]
        ]
        assert ports.instances.instances == before
        assert (ports.operations.bulks, ports.operations.audit, ports.instances.audit) == ({}, [], [])

    def test_the_count_of_a_dry_run_is_limited(self) -> None:
        ports = a_world()
        joined(ports, MAX_COUNTED + 1)

        found = dry_run(ports, self.request())

        assert (found.count, found.is_exact) == (MAX_COUNTED, False)

    def test_unknown_ids_are_not_counted(self) -> None:
        ports = a_world()
        one, two = joined(ports, 2)
        ports.instances.instances[two] = replace(ports.instances.instances[two], account_id=AccountId("b"))

        found = dry_run(ports, self.request(OfIds(ids=(one, two, InstanceSid("gone")))))

        assert (found.count, [result.sid for result in found.sample]) == (1, [one])

    def test_a_dry_run_shows_refusals_and_failures(self) -> None:
        ports = a_world()
        one, two = joined(ports, 2)
        ports.instances.instances[one] = replace(
            ports.instances.instances[one], status=InstanceStatus.COMPLETED
        )
        ports.instances.instances[two] = replace(ports.instances.instances[two], strategy_version=9)

        found = dry_run(ports, self.request(OfIds(ids=(one, two)), Resume(by=ANN)))

        assert [(result.outcome, result.why) for result in found.sample] == [
            (ItemOutcome.REFUSED, "the instance is COMPLETED"),
            (ItemOutcome.FAILED, "UnknownStrategyError: s-1 version 9"),
        ]

    def test_pause_and_cancel_are_previewed_without_the_settings(self) -> None:
        ports = a_world()
        (sid,) = joined(ports, 1)
        ports.instances.instances[sid] = replace(ports.instances.instances[sid], strategy_version=9)

        for command in (Pause(by=ANN), CANCEL):
            (result,) = dry_run(ports, self.request(OfIds(ids=(sid,)), command)).sample
            assert result.outcome is ItemOutcome.CHANGED

    def test_an_unreadable_instance_is_counted_and_not_shown(self) -> None:
        instances = Marred()
        ports = a_world(instances)
        sids = joined(ports, 3)
        instances.broken = {sids[1]}

        found = dry_run(ports, self.request())

        assert (found.count, [result.sid for result in found.sample]) == (3, [sids[0], sids[2]])
