"""A bulk operation, from its beginning to its end. Source: design section 8; docs/decisions/0019."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.bulk.operation import (
    BATCH_SIZE,
    GIVEN_UP,
    HELD_FOR,
    MAX_PROBLEMS,
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
    """One that has just begun and waits for a runner."""
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


def a_slice(*numbers: int, at_end: bool = False) -> Batch:
    """These instances; the cursor stands behind the last of them."""
    last = sids(*numbers[-1:])
    cursor = Cursor(created_at=NOON, sid=last[0] if last else None)
    return Batch(sids=sids(*numbers), cursor=cursor, at_end=at_end)


def working(*batch_sids: int, **members: Any) -> BulkOperation:
    """One that an invocation has, with these instances in hand."""
    known: dict[str, Any] = {
        "batch_sids": sids(*batch_sids),
        "worker": ME,
        "sweep_at": NOON + HELD_FOR,
    }
    return a_bulk(**{**known, **members})


def changed(*numbers: int) -> list[ItemResult]:
    return [ItemResult(sid=sid, outcome=ItemOutcome.CHANGED) for sid in sids(*numbers)]


def told(bulk: BulkOperation, results: Sequence[ItemResult], **more: Any) -> BulkOperation:
    return report_results(bulk, results, **{"follows": None, "goes_on": True, "now": LATER, **more})


class TestItsBeginning:
    """Small ones are taken in hand by the request, others wait for a runner, empty ones are done."""

    def test_a_small_one_is_in_the_requests_hand(self) -> None:
        bulk = begin(a_bulk(), a_slice(1, 2, at_end=True), worker=ME)

        assert (bulk.batch_sids, bulk.at_end, bulk.worker) == (sids(1, 2), True, ME)
        assert bulk.sweep_at == NOON + HELD_FOR
        assert bulk.status is BulkStatus.ACTIVE

    def test_a_large_one_waits_for_a_runner(self) -> None:
        bulk = begin(a_bulk(), None, worker=ME)

        assert bulk == a_bulk()
        assert (bulk.batch_sids, bulk.worker, bulk.sweep_at) == ((), None, NOON)

    def test_one_of_nothing_is_done(self) -> None:
        bulk = begin(a_bulk(), a_slice(at_end=True), worker=ME)

        assert (bulk.status, bulk.finished_at, bulk.sweep_at) == (BulkStatus.COMPLETED, NOON, None)


class TestTakingItInHand:
    """An invocation has it to itself for a minute, each under a number of its own."""

    def test_it_is_left_alone_for_a_minute(self) -> None:
        bulk = assign_worker(a_bulk(), worker=ME, now=LATER)

        assert (bulk.sweep_at, bulk.worker) == (LATER + HELD_FOR, ME)
        assert bulk.rev == a_bulk().rev + 1
        assert HELD_FOR + timedelta(minutes=1) <= timedelta(minutes=2), (
            "the sweeper comes in two at the latest"
        )

    def test_one_left_with_a_slice_in_hand_has_lost_its_runner(self) -> None:
        assert assign_worker(working(1, 2), worker="other", now=LATER).crashes == 1

    @pytest.mark.parametrize("left", [working(), a_bulk(batch_sids=sids(1), status=BulkStatus.ACTIVE)])
    def test_one_that_was_set_down_has_not(self, left: BulkOperation) -> None:
        assert assign_worker(left, worker=ME, now=LATER).crashes == 0


class TestReporting:
    """What a slice came to is written down together with the next one."""

    def test_the_next_slice_is_in_hand_and_the_cursor_behind_it(self) -> None:
        bulk = told(working(1, 2), changed(1, 2), follows=a_slice(3, 4))

        assert (bulk.batch_sids, bulk.cursor.sid, bulk.at_end) == (sids(3, 4), "i-4", False)
        assert (bulk.counts.changed, bulk.sweep_at) == (2, LATER + HELD_FOR)
        assert (bulk.rev, bulk.updated_at) == (working().rev + 1, LATER)

    def test_the_last_slice_ends_it(self) -> None:
        bulk = told(working(1, at_end=True), changed(1))

        assert (bulk.status, bulk.finished_at, bulk.sweep_at) == (BulkStatus.COMPLETED, LATER, None)
        assert bulk.worker is None

    def test_where_nothing_follows_it_ends_as_well(self) -> None:
        assert told(working(1), changed(1), follows=a_slice(at_end=True)).status is BulkStatus.COMPLETED

    def test_where_nothing_was_found_so_far_it_goes_on(self) -> None:
        bulk = told(working(), [], follows=a_slice())

        assert (bulk.status, bulk.batch_sids, bulk.worker) == (BulkStatus.ACTIVE, (), ME)

    def test_out_of_time_it_is_due_at_once(self) -> None:
        bulk = told(working(1), changed(1), goes_on=False)

        assert (bulk.status, bulk.sweep_at, bulk.worker) == (BulkStatus.ACTIVE, LATER, None)

    def test_what_was_not_told_of_stays_in_hand(self) -> None:
        bulk = told(working(1, 2, 3), changed(1), follows=a_slice(9))

        assert (bulk.batch_sids, bulk.counts.done) == (sids(2, 3), 1)

    def test_paused_meanwhile_it_rests_with_what_is_left(self) -> None:
        bulk = told(working(1, 2, status=BulkStatus.PAUSED), changed(1), follows=a_slice(3))

        assert (bulk.status, bulk.batch_sids, bulk.counts.changed) == (BulkStatus.PAUSED, sids(2), 1)
        assert (bulk.sweep_at, bulk.worker, bulk.cursor) == (None, None, Cursor())

    def test_canceled_meanwhile_it_keeps_nothing_in_hand(self) -> None:
        bulk = told(working(1, 2, status=BulkStatus.CANCELED, finished_at=NOON), changed(1))

        assert (bulk.status, bulk.batch_sids, bulk.counts.changed) == (BulkStatus.CANCELED, (), 1)
        assert (bulk.sweep_at, bulk.finished_at) == (None, NOON)


class TestCounting:
    """Every outcome is counted, what went wrong is told with its reason, of many only how many."""

    EVERY = tuple(
        ItemResult(sid=sid, outcome=outcome)
        for sid, outcome in zip(sids(1, 2, 3, 4, 5), ItemOutcome, strict=True)
    )

    def test_each_outcome_has_its_count(self) -> None:
        bulk = told(working(1, 2, 3, 4, 5, 6), [*self.EVERY, *changed(6)])

        assert bulk.counts == Counts(changed=2, already_there=1, refused=1, unknown=1, failed=1)
        assert bulk.counts.done == 6

    def test_refused_unknown_and_failed_ones_are_told(self) -> None:
        bulk = told(working(1, 2, 3, 4, 5), self.EVERY)

        assert [problem.outcome for problem in bulk.problems] == [
            ItemOutcome.REFUSED,
            ItemOutcome.UNKNOWN,
            ItemOutcome.FAILED,
        ]
        assert bulk.left_out == 0

    def test_no_more_are_told_than_there_is_room_for(self) -> None:
        bad = [ItemResult(sid=sid, outcome=ItemOutcome.FAILED, why="broken") for sid in sids(*range(60))]
        once = told(working(*range(60)), bad)
        again = [replace(result, sid=InstanceSid(f"other-{result.sid}")) for result in bad]

        twice = told(replace(once, batch_sids=tuple(result.sid for result in again)), again)

        assert (len(twice.problems), twice.left_out) == (MAX_PROBLEMS, 20)
        assert told(replace(twice, batch_sids=sids(1)), bad[1:2]).left_out == 21

    def test_what_each_came_to_is_kept_for_one_slice(self) -> None:
        first = told(working(*range(BATCH_SIZE)), changed(*range(BATCH_SIZE)))
        more = told(replace(first, batch_sids=sids(99)), changed(99))

        assert (len(first.results), more.results) == (BATCH_SIZE, ())


class TestARunnerThatDies:
    """After two deaths a slice is gone through one by one; one at which three more died is left alone."""

    def test_at_first_a_slice_is_done_together(self) -> None:
        assert next_sids(working(1, 2, 3, crashes=1)) == sids(1, 2, 3)

    def test_then_one_by_one_until_it_is_through(self) -> None:
        bulk = working(1, 2, 3, crashes=ONE_BY_ONE)
        assert next_sids(bulk) == sids(1)

        bulk = told(bulk, changed(1), follows=a_slice(9))
        assert (next_sids(bulk), bulk.crashes) == (sids(2), ONE_BY_ONE)

        bulk = told(told(bulk, changed(2)), changed(3), follows=a_slice(4, 5))
        assert (next_sids(bulk), bulk.crashes) == (sids(4, 5), 0)

    def test_at_last_the_one_they_die_at_is_given_up(self) -> None:
        assert not is_given_up(working(1, 2, crashes=GIVEN_UP - 1))
        bulk = working(1, 2, crashes=GIVEN_UP)
        assert is_given_up(bulk)

        after = told(bulk, [ItemResult(sid=InstanceSid("i-1"), outcome=ItemOutcome.FAILED)])

        assert (after.batch_sids, after.crashes, is_given_up(after)) == (sids(2), ONE_BY_ONE, False)


class TestOrders:
    """Pause, resume and cancel; each may be repeated, and what is over takes none."""

    FINAL = (BulkStatus.CANCELED, BulkStatus.COMPLETED)

    @pytest.mark.parametrize(
        ("order", "status"),
        [
            (OperationCommand.PAUSE, BulkStatus.PAUSED),
            (OperationCommand.RESUME, BulkStatus.ACTIVE),
            (OperationCommand.CANCEL, BulkStatus.CANCELED),
        ],
    )
    def test_repeated_it_changes_nothing(self, order: OperationCommand, status: BulkStatus) -> None:
        bulk = a_bulk(status=status)

        assert apply_command(bulk, order, now=LATER) is bulk

    @pytest.mark.parametrize("status", FINAL)
    @pytest.mark.parametrize("order", OperationCommand)
    def test_what_is_over_takes_none(self, status: BulkStatus, order: OperationCommand) -> None:
        bulk = a_bulk(status=status)
        is_there = (order, status) == (OperationCommand.CANCEL, BulkStatus.CANCELED)

        assert apply_command(bulk, order, now=LATER) is (bulk if is_there else None)

    def test_paused_it_never_goes_on_by_itself(self) -> None:
        bulk = apply_command(a_bulk(batch_sids=sids(1)), OperationCommand.PAUSE, now=LATER)

        assert bulk is not None
        assert (bulk.status, bulk.sweep_at, bulk.batch_sids) == (BulkStatus.PAUSED, None, sids(1))
        assert (bulk.rev, bulk.updated_at) == (a_bulk().rev + 1, LATER)

    @pytest.mark.parametrize("order", [OperationCommand.PAUSE, OperationCommand.CANCEL])
    def test_while_somebody_works_on_it_it_waits_for_their_report(self, order: OperationCommand) -> None:
        bulk = apply_command(working(1, 2), order, now=LATER)

        assert bulk is not None
        assert (bulk.batch_sids, bulk.sweep_at, bulk.worker) == (sids(1, 2), NOON + HELD_FOR, ME)

    def test_resumed_it_is_due_at_once(self) -> None:
        bulk = apply_command(
            a_bulk(status=BulkStatus.PAUSED, sweep_at=None), OperationCommand.RESUME, now=LATER
        )

        assert bulk is not None
        assert (bulk.status, bulk.sweep_at) == (BulkStatus.ACTIVE, LATER)

    @pytest.mark.parametrize("status", [BulkStatus.ACTIVE, BulkStatus.PAUSED])
    def test_canceled_it_is_over_and_drops_what_was_left(self, status: BulkStatus) -> None:
        bulk = apply_command(a_bulk(status=status, batch_sids=sids(1)), OperationCommand.CANCEL, now=LATER)

        assert bulk is not None
        assert (bulk.status, bulk.finished_at) == (BulkStatus.CANCELED, LATER)
        assert (bulk.batch_sids, bulk.sweep_at) == ((), None)


class TestWhatACommandCameTo:
    """A change of its own is one, whoever tells of it; the rest is as the verdict says."""

    I1 = InstanceSid("i-1")

    def test_each_verdict_has_its_outcome(self) -> None:
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

    def test_only_instances_of_its_account_that_were_there_are_meant(self) -> None:
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
    def test_each_command_has_its_name(self, command: BulkCommand, name: str) -> None:
        assert name_of(command) == name
