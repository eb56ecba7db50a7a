"""A bulk operation from its begin to its end. Source: docs/design.md section 8; docs/decisions/0019."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.bulk.operation import (
    GIVEN_UP,
    LEASE,
    MAX_IN_REQUEST,
    MAX_PROBLEMS,
    MAX_WHY_BYTES,
    ONE_BY_ONE,
    BulkCommand,
    BulkOperation,
    BulkStatus,
    Counts,
    ItemOutcome,
    ItemResult,
    MigrateTo,
    OperationCommand,
    apply_command,
    assign_worker,
    begin,
    is_given_up,
    is_in_scope,
    name_of,
    next_sids,
    report_results,
    result_of,
)
from shared.domain.bulk.selection import Batch, Cursor, OfStrategy
from shared.domain.ids import AccountId, InstanceSid, OperationSid, StrategySid
from shared.domain.instance.verdict import Actor, AlreadyThere, Applied, RefusalRule, Refused, Verdict
from shared.domain.lifecycle.commands import Cancel, CancelTasks, Pause, Resume
from tests.factories import an_instance

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=3)
SID = OperationSid("b-1")
ME = "worker-1"
ANN = Actor(name="ann", operation=SID)


def a_bulk(**members: Any) -> BulkOperation:
    """Return an operation that has just begun and waits for a runner."""
    known: dict[str, Any] = {
        "sid": SID,
        "account_id": AccountId("account"),
        "selection": OfStrategy(strategy=StrategySid("strategy")),
        "command": Cancel(by=ANN),
        "started_at": NOON,
        "updated_at": NOON,
        "sweep_at": NOON,
    }
    return BulkOperation(**{**known, **members})


def sids(*numbers: int) -> tuple[InstanceSid, ...]:
    return tuple(InstanceSid(f"i-{number}") for number in numbers)


def a_batch(*numbers: int, at_end: bool = False) -> Batch:
    """Return a batch of these instances, with the cursor after the last one."""
    last = sids(*numbers[-1:])
    cursor = Cursor(created_at=NOON, sid=last[0] if last else None)
    return Batch(sids=sids(*numbers), cursor=cursor, at_end=at_end)


def working(*batch_sids: int, **members: Any) -> BulkOperation:
    """Return an operation that a worker owns, with these instances in its batch."""
    known: dict[str, Any] = {
        "batch_sids": sids(*batch_sids),
        "worker": ME,
        "sweep_at": NOON + LEASE,
    }
    return a_bulk(**{**known, **members})


def changed(*numbers: int) -> list[ItemResult]:
    return [ItemResult(sid=sid, outcome=ItemOutcome.CHANGED) for sid in sids(*numbers)]


def after_report(bulk: BulkOperation, results: Sequence[ItemResult], **more: Any) -> BulkOperation:
    return report_results(bulk, results, **{"follows": None, "goes_on": True, "now": LATER, **more})


class TestBegin:
    """A small operation is executed by its request, a large one waits for a runner, and an empty one is complete."""

    def test_a_small_operation_is_owned_by_its_request(self) -> None:
        bulk = begin(a_bulk(), a_batch(1, 2, at_end=True), worker=ME)

        assert (bulk.batch_sids, bulk.at_end, bulk.worker) == (sids(1, 2), True, ME)
        assert bulk.sweep_at == NOON + LEASE
        assert bulk.status is BulkStatus.ACTIVE

    def test_a_large_operation_waits_for_a_runner(self) -> None:
        bulk = begin(a_bulk(), None, worker=ME)

        assert bulk == a_bulk()
        assert (bulk.batch_sids, bulk.worker, bulk.sweep_at) == ((), None, NOON)

    def test_an_empty_operation_is_complete(self) -> None:
        bulk = begin(a_bulk(), a_batch(at_end=True), worker=ME)

        assert (bulk.status, bulk.finished_at, bulk.sweep_at) == (BulkStatus.COMPLETED, NOON, None)


class TestAssignment:
    """A worker owns the operation for a minute, under a name of its own."""

    def test_a_worker_owns_the_operation_for_a_minute(self) -> None:
        bulk = assign_worker(a_bulk(), worker=ME, now=LATER)

        assert (bulk.sweep_at, bulk.worker) == (LATER + LEASE, ME)
        assert bulk.rev == a_bulk().rev + 1
        assert LEASE + timedelta(minutes=1) <= timedelta(minutes=2), "the sweeper comes in two at the latest"

    def test_an_owned_batch_without_a_report_counts_a_crash(self) -> None:
        assert assign_worker(working(1, 2), worker="other", now=LATER).crashes == 1

    @pytest.mark.parametrize(
        ("after_lease", "crashes"),
        [
            (
                timedelta(minutes=-1),
                1,
            ),  # the operation was resumed, so the takeover comes before the lease ends
            (timedelta(minutes=2), 1),
            (timedelta(minutes=5) - timedelta(milliseconds=1), 1),
            (timedelta(minutes=5), 0),  # the stores were unavailable
            (timedelta(hours=1), 0),
        ],
    )
    def test_a_takeover_long_after_the_lease_counts_no_crash(
        self, after_lease: timedelta, crashes: int
    ) -> None:
        taken = assign_worker(working(1, 2), worker="other", now=NOON + LEASE + after_lease)

        assert taken.crashes == crashes

    @pytest.mark.parametrize("left", [working(), a_bulk(batch_sids=sids(1), status=BulkStatus.ACTIVE)])
    def test_an_operation_without_a_batch_or_a_worker_counts_no_crash(self, left: BulkOperation) -> None:
        assert assign_worker(left, worker=ME, now=LATER).crashes == 0


class TestReporting:
    """The results of a batch are saved together with the next batch."""

    def test_a_report_takes_the_next_batch_and_moves_the_cursor(self) -> None:
        bulk = after_report(working(1, 2), changed(1, 2), follows=a_batch(3, 4))

        assert (bulk.batch_sids, bulk.cursor.sid, bulk.at_end) == (sids(3, 4), "i-4", False)
        assert (bulk.counts.changed, bulk.sweep_at) == (2, LATER + LEASE)
        assert (bulk.rev, bulk.updated_at) == (working().rev + 1, LATER)

    def test_the_last_batch_completes_the_operation(self) -> None:
        bulk = after_report(working(1, at_end=True), changed(1))

        assert (bulk.status, bulk.finished_at, bulk.sweep_at) == (BulkStatus.COMPLETED, LATER, None)
        assert bulk.worker is None

    def test_an_empty_next_batch_at_the_end_completes_the_operation(self) -> None:
        assert (
            after_report(working(1), changed(1), follows=a_batch(at_end=True)).status is BulkStatus.COMPLETED
        )

    def test_an_empty_batch_before_the_end_continues(self) -> None:
        bulk = after_report(working(), [], follows=a_batch())

        assert (bulk.status, bulk.batch_sids, bulk.worker) == (BulkStatus.ACTIVE, (), ME)

    def test_a_worker_out_of_time_leaves_the_operation_due_at_once(self) -> None:
        bulk = after_report(working(1), changed(1), goes_on=False)

        assert (bulk.status, bulk.sweep_at, bulk.worker) == (BulkStatus.ACTIVE, LATER, None)

    def test_instances_without_a_result_stay_in_the_batch(self) -> None:
        bulk = after_report(working(1, 2, 3), changed(1), follows=a_batch(9))

        assert (bulk.batch_sids, bulk.counts.done) == (sids(2, 3), 1)

    def test_an_operation_paused_meanwhile_keeps_the_rest(self) -> None:
        bulk = after_report(working(1, 2, status=BulkStatus.PAUSED), changed(1), follows=a_batch(3))

        assert (bulk.status, bulk.batch_sids, bulk.counts.changed) == (BulkStatus.PAUSED, sids(2), 1)
        assert (bulk.sweep_at, bulk.worker, bulk.cursor) == (None, None, Cursor())

    def test_an_operation_canceled_meanwhile_drops_the_rest(self) -> None:
        bulk = after_report(working(1, 2, status=BulkStatus.CANCELED, finished_at=NOON), changed(1))

        assert (bulk.status, bulk.batch_sids, bulk.counts.changed) == (BulkStatus.CANCELED, (), 1)
        assert (bulk.sweep_at, bulk.finished_at) == (None, NOON)


class TestCounting:
    """Every outcome is counted. Failures are listed with their reason up to a limit, the others only counted."""

    EVERY = tuple(
        ItemResult(sid=sid, outcome=outcome)
        for sid, outcome in zip(sids(1, 2, 3, 4, 5), ItemOutcome, strict=True)
    )

    def test_every_outcome_has_its_count(self) -> None:
        bulk = after_report(working(1, 2, 3, 4, 5, 6), [*self.EVERY, *changed(6)])

        assert bulk.counts == Counts(changed=2, already_there=1, refused=1, unknown=1, failed=1)
        assert bulk.counts.done == 6

    def test_refused_unknown_and_failed_instances_are_reported(self) -> None:
        bulk = after_report(working(1, 2, 3, 4, 5), self.EVERY)

        assert [problem.outcome for problem in bulk.problems] == [
            ItemOutcome.REFUSED,
            ItemOutcome.UNKNOWN,
            ItemOutcome.FAILED,
        ]
        assert bulk.left_out == 0

    def test_failures_beyond_the_limit_are_only_counted(self) -> None:
        bad = [ItemResult(sid=sid, outcome=ItemOutcome.FAILED, why="broken") for sid in sids(*range(60))]
        once = after_report(working(*range(60)), bad)
        again = [replace(result, sid=InstanceSid(f"other-{result.sid}")) for result in bad]

        twice = after_report(replace(once, batch_sids=tuple(result.sid for result in again)), again)

        assert (len(twice.problems), twice.left_out) == (MAX_PROBLEMS, 20)
        assert after_report(replace(twice, batch_sids=sids(1)), bad[1:2]).left_out == 21

    def test_single_results_are_kept_for_one_batch(self) -> None:
        first = after_report(working(*range(MAX_IN_REQUEST)), changed(*range(MAX_IN_REQUEST)))
        more = after_report(replace(first, batch_sids=sids(99)), changed(99))

        assert (len(first.results), more.results) == (MAX_IN_REQUEST, ())


class TestCrashes:
    """ "After two crashes a batch runs one by one; after three more" its first instance is reported as failed."""

    def test_a_batch_is_executed_together_at_first(self) -> None:
        assert next_sids(working(1, 2, 3, crashes=1)) == sids(1, 2, 3)

    def test_a_batch_is_executed_one_by_one_after_two_crashes(self) -> None:
        bulk = working(1, 2, 3, crashes=ONE_BY_ONE)
        assert next_sids(bulk) == sids(1)

        bulk = after_report(bulk, changed(1), follows=a_batch(9))
        assert (next_sids(bulk), bulk.crashes) == (sids(2), ONE_BY_ONE)

        bulk = after_report(after_report(bulk, changed(2)), changed(3), follows=a_batch(4, 5))
        assert (next_sids(bulk), bulk.crashes) == (sids(4, 5), 0)

    def test_the_instance_of_five_crashes_is_given_up(self) -> None:
        assert not is_given_up(working(1, 2, crashes=GIVEN_UP - 1))
        bulk = working(1, 2, crashes=GIVEN_UP)
        assert is_given_up(bulk)

        after = after_report(bulk, [ItemResult(sid=InstanceSid("i-1"), outcome=ItemOutcome.FAILED)])

        assert (after.batch_sids, after.crashes, is_given_up(after)) == (sids(2), ONE_BY_ONE, False)


class TestOperatorsCommands:
    """Pause, resume and cancel change nothing if they are repeated, or if the operation has ended."""

    FINAL = (BulkStatus.CANCELED, BulkStatus.COMPLETED)

    @pytest.mark.parametrize(
        ("command", "status"),
        [
            (OperationCommand.PAUSE, BulkStatus.PAUSED),
            (OperationCommand.RESUME, BulkStatus.ACTIVE),
            (OperationCommand.CANCEL, BulkStatus.CANCELED),
        ],
    )
    def test_a_repeated_command_changes_nothing(self, command: OperationCommand, status: BulkStatus) -> None:
        bulk = a_bulk(status=status)

        assert apply_command(bulk, command, now=LATER) is bulk

    @pytest.mark.parametrize("status", FINAL)
    @pytest.mark.parametrize("command", OperationCommand)
    def test_an_ended_operation_takes_no_command(self, status: BulkStatus, command: OperationCommand) -> None:
        bulk = a_bulk(status=status)
        is_there = (command, status) == (OperationCommand.CANCEL, BulkStatus.CANCELED)

        assert apply_command(bulk, command, now=LATER) is (bulk if is_there else None)

    def test_a_paused_operation_never_continues_by_itself(self) -> None:
        bulk = apply_command(a_bulk(batch_sids=sids(1)), OperationCommand.PAUSE, now=LATER)

        assert bulk is not None
        assert (bulk.status, bulk.sweep_at, bulk.batch_sids) == (BulkStatus.PAUSED, None, sids(1))
        assert (bulk.rev, bulk.updated_at) == (a_bulk().rev + 1, LATER)

    @pytest.mark.parametrize("command", [OperationCommand.PAUSE, OperationCommand.CANCEL])
    def test_a_paused_operation_waits_for_its_workers_report(self, command: OperationCommand) -> None:
        bulk = apply_command(working(1, 2), command, now=LATER)

        assert bulk is not None
        assert (bulk.batch_sids, bulk.sweep_at, bulk.worker) == (sids(1, 2), NOON + LEASE, ME)

    def test_a_resumed_operation_is_due_at_once(self) -> None:
        bulk = apply_command(
            a_bulk(status=BulkStatus.PAUSED, sweep_at=None), OperationCommand.RESUME, now=LATER
        )

        assert bulk is not None
        assert (bulk.status, bulk.sweep_at) == (BulkStatus.ACTIVE, LATER)

    @pytest.mark.parametrize("status", [BulkStatus.ACTIVE, BulkStatus.PAUSED])
    def test_a_canceled_operation_is_over_and_drops_its_batch(self, status: BulkStatus) -> None:
        bulk = apply_command(a_bulk(status=status, batch_sids=sids(1)), OperationCommand.CANCEL, now=LATER)

        assert bulk is not None
        assert (bulk.status, bulk.finished_at) == (BulkStatus.CANCELED, LATER)
        assert (bulk.batch_sids, bulk.sweep_at) == ((), None)


class TestResults:
    """A change by the operation itself counts as changed; any other result is the verdict's."""

    I1 = InstanceSid("i-1")

    def test_every_verdict_has_its_outcome(self) -> None:
        instance = an_instance()
        verdicts: list[Verdict | None] = [
            Applied(instance=instance),
            AlreadyThere(instance=instance),
            AlreadyThere(instance=replace(instance, operations=(OperationSid("b-0"), SID))),
            Refused(instance=instance, why="the instance is COMPLETED", rule=RefusalRule.STATE),
            None,
        ]

        found = [result_of(self.I1, verdict, SID) for verdict in verdicts]

        assert [(one.outcome, one.why) for one in found] == [
            (ItemOutcome.CHANGED, None),
            (ItemOutcome.ALREADY_THERE, None),
            (ItemOutcome.CHANGED, None),
            (ItemOutcome.REFUSED, "the instance is COMPLETED"),
            (ItemOutcome.UNKNOWN, "there is no such instance"),
        ]

    def test_only_existing_instances_of_the_account_are_in_scope(self) -> None:
        instance = an_instance()

        assert is_in_scope(a_bulk(), instance)
        assert not is_in_scope(a_bulk(account_id=AccountId("other")), instance)
        assert not is_in_scope(a_bulk(), replace(instance, created_at=NOON + timedelta(milliseconds=1)))

    @pytest.mark.parametrize(
        ("command", "name"),
        [
            (Pause(by=ANN), "pause"),
            (Resume(by=ANN), "resume"),
            (Cancel(by=ANN), "cancel"),
            (CancelTasks(tasks=("a",), by=ANN), "cancel-tasks"),
            (MigrateTo(version=2, by=ANN), "migrate"),
        ],
    )
    def test_every_command_has_its_name(self, command: BulkCommand, name: str) -> None:
        assert name_of(command) == name


class TestSizeOfResults:
    """An explanation is cut, because an operation stores a hundred of them."""

    def test_a_long_explanation_is_cut(self) -> None:
        result = ItemResult(sid=InstanceSid("i-1"), outcome=ItemOutcome.FAILED, why="x" * 10_000)
        assert result.why == "x" * (MAX_WHY_BYTES - 3) + "..."

    @pytest.mark.parametrize("why", [None, "", "the instance is COMPLETED", "x" * MAX_WHY_BYTES])
    def test_a_short_explanation_is_kept(self, why: str | None) -> None:
        assert ItemResult(sid=InstanceSid("i-1"), outcome=ItemOutcome.REFUSED, why=why).why == why
