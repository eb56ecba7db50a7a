"""The contract of an ``OperationStore``, on every engine."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from shared.application.ports import PageKey, StaleRevError, all_readable
from shared.domain.bulk.operation import BulkOperation
from shared.domain.bulk.release import ReleaseJob
from shared.domain.ids import AccountId, OperationSid
from shared.domain.strategy.flag import Flag
from tests import full
from tests.engines import Stores
from tests.full import at

DRAIN = full.DRAIN
BULK = full.BULK


def due_sids(stores: Stores, *, until: datetime, limit: int = 9) -> list[OperationSid]:
    return [entry.sid for entry in stores.operations.due(until=until, limit=limit)]


def begun(stores: Stores, *release_jobs: ReleaseJob) -> None:
    """Store release jobs with the flag that is cleared."""
    stores.access.set_queue_flag(
        full.ACCOUNT, Flag(is_paused=False), audit=full.AUDIT, release_jobs=release_jobs
    )


class TestADrain:
    """A release job is stored with its flag, and read as last stored."""

    def test_an_unknown_operation_is_none(self, stores: Stores) -> None:
        assert stores.operations.load(DRAIN.sid) is None

    def test_every_field_of_a_release_job_survives(self, stores: Stores) -> None:
        begun(stores, DRAIN)
        assert stores.operations.load(DRAIN.sid) == DRAIN

    def test_a_minimal_release_job_survives(self, stores: Stores) -> None:
        bare = replace(DRAIN, freed=0, empty_since=None, sweep_at=DRAIN.started_at)
        begun(stores, bare)
        assert stores.operations.load(DRAIN.sid) == bare

    def test_a_release_job_begun_again_replaces_the_old(self, stores: Stores) -> None:
        begun(stores, DRAIN)
        begun(stores, replace(DRAIN, rev=99, freed=0))
        assert stores.operations.load(DRAIN.sid) == replace(DRAIN, rev=99, freed=0)

    def test_the_audit_entry_is_stored_with_the_flag(self, stores: Stores) -> None:
        begun(stores, DRAIN)
        assert stores.audits() == [full.AUDIT]


class TestChanges:
    """A change is stored only if the stored rev is the expected one."""

    def test_the_next_rev_replaces_it(self, stores: Stores) -> None:
        begun(stores, DRAIN)
        after = replace(DRAIN, rev=DRAIN.rev + 1, freed=9)
        stores.operations.commit(after)
        assert stores.operations.load(DRAIN.sid) == after

    @pytest.mark.parametrize("rev", [DRAIN.rev, DRAIN.rev + 2])
    def test_another_rev_is_refused(self, stores: Stores, rev: int) -> None:
        begun(stores, DRAIN)
        with pytest.raises(StaleRevError):
            stores.operations.commit(replace(DRAIN, rev=rev))
        assert stores.operations.load(DRAIN.sid) == DRAIN

    def test_a_change_of_an_unknown_operation_is_refused(self, stores: Stores) -> None:
        with pytest.raises(StaleRevError):
            stores.operations.commit(DRAIN)

    def test_a_release_job_is_removed(self, stores: Stores) -> None:
        begun(stores, DRAIN)
        stores.operations.remove(DRAIN)
        assert stores.operations.load(DRAIN.sid) is None

    def test_a_changed_release_job_is_not_removed(self, stores: Stores) -> None:
        begun(stores, DRAIN)
        with pytest.raises(StaleRevError):
            stores.operations.remove(replace(DRAIN, rev=1))
        assert stores.operations.load(DRAIN.sid) == DRAIN


class TestWhatIsDue:
    """Operations that are due are listed, longest due first."""

    def test_a_release_job_is_found_when_due(self, stores: Stores) -> None:
        release_jobs = [
            replace(DRAIN, sid=OperationSid(f"release-{day}"), sweep_at=at(day)) for day in (3, 1, 2, 4)
        ]
        begun(stores, *release_jobs)

        assert due_sids(stores, until=at(3)) == ["release-1", "release-2", "release-3"]
        assert due_sids(stores, until=at(3), limit=2) == ["release-1", "release-2"]

    def test_release_jobs_and_bulk_operations_are_found_together(self, stores: Stores) -> None:
        begun(stores, replace(DRAIN, sweep_at=at(2)))
        stores.operations.create(replace(BULK, sweep_at=at(1)), audit=full.AUDIT)

        assert due_sids(stores, until=at(3)) == [BULK.sid, DRAIN.sid]

    def test_an_operation_without_sweep_is_not_found(self, stores: Stores) -> None:
        stores.operations.create(BULK, audit=full.AUDIT)

        stores.operations.commit(replace(BULK, sweep_at=None, rev=BULK.rev + 1))

        assert due_sids(stores, until=at(30)) == []

    def test_an_entry_moves_on_by_a_back_off_until_the_operation_is_stored(self, stores: Stores) -> None:
        begun(stores, replace(DRAIN, sweep_at=at(2)))

        instants = []
        for _ in range(3):
            (entry,) = stores.operations.due(until=at(30), limit=9)
            assert stores.operations.postpone(entry, now=at(3))
            assert not stores.operations.postpone(entry, now=at(4))
            (moved,) = stores.operations.due(until=at(30), limit=9)
            instants.append(moved.at - at(3))

        assert instants == [timedelta(minutes=minutes) for minutes in (1, 2, 4)]
        stored = replace(DRAIN, sweep_at=at(2), rev=DRAIN.rev + 1)
        assert stores.operations.load(DRAIN.sid) == replace(stored, rev=DRAIN.rev)
        stores.operations.commit(stored)
        (entry,) = stores.operations.due(until=at(30), limit=9)
        assert entry.at == at(2)

    def test_the_entry_of_a_removed_operation_does_not_come_back(self, stores: Stores) -> None:
        begun(stores, replace(DRAIN, sweep_at=at(2)))
        (entry,) = stores.operations.due(until=at(30), limit=9)
        stores.operations.remove(DRAIN)

        assert not stores.operations.postpone(entry, now=at(3))

        assert stores.operations.load(DRAIN.sid) is None


class TestABulkOperation:
    """A bulk operation is created once, with its audit entry, and read as last stored."""

    @pytest.mark.parametrize("bulk", full.BULKS, ids=lambda bulk: type(bulk.command).__name__)
    def test_every_field_of_a_bulk_operation_survives(self, stores: Stores, bulk: BulkOperation) -> None:
        stores.operations.create(bulk, audit=full.AUDIT)

        assert stores.operations.load(bulk.sid) == bulk
        assert stores.audits() == [full.AUDIT]

    def test_a_minimal_bulk_operation_survives(self, stores: Stores) -> None:
        bare = BulkOperation(
            sid=BULK.sid,
            account_id=BULK.account_id,
            selection=BULK.selection,
            command=BULK.command,
            started_at=at(1),
            updated_at=at(1),
        )
        stores.operations.create(bare, audit=full.AUDIT)

        assert stores.operations.load(BULK.sid) == bare

    def test_a_second_operation_with_the_sid_is_refused(self, stores: Stores) -> None:
        stores.operations.create(BULK, audit=full.AUDIT)

        with pytest.raises(StaleRevError):
            stores.operations.create(replace(BULK, crashes=9), audit=full.AUDIT)

        assert stores.operations.load(BULK.sid) == BULK
        assert len(stores.audits()) == 1

    def test_a_change_is_stored_with_its_audit_entry(self, stores: Stores) -> None:
        stores.operations.create(BULK, audit=full.AUDIT)
        after, told = replace(BULK, rev=BULK.rev + 1, crashes=9), replace(full.AUDIT, command="resume")

        stores.operations.commit(after, audit=told)

        assert stores.operations.load(BULK.sid) == after
        assert told in stores.audits()

    @pytest.mark.parametrize("rev", [BULK.rev, BULK.rev + 2])
    def test_a_change_of_another_rev_is_refused_with_its_audit_entry(self, stores: Stores, rev: int) -> None:
        stores.operations.create(BULK, audit=full.AUDIT)

        with pytest.raises(StaleRevError):
            stores.operations.commit(replace(BULK, rev=rev), audit=replace(full.AUDIT, command="resume"))

        assert stores.operations.load(BULK.sid) == BULK
        assert stores.audits() == [full.AUDIT]


class TestTheOperationsOfAnAccount:
    """Bulk operations are listed youngest first, without release jobs."""

    def test_bulk_operations_are_sorted_youngest_first(self, stores: Stores) -> None:
        made = [replace(BULK, sid=OperationSid(f"b-{day}"), started_at=at(day)) for day in range(1, 6)]
        for bulk in made:
            stores.operations.create(bulk, audit=replace(full.AUDIT, target=bulk.sid))
        begun(stores, DRAIN)
        listing = stores.operations.of_account

        first = all_readable(listing(full.ACCOUNT, before=None, limit=3))
        last = PageKey(created_at=first[-1].started_at, sid=first[-1].sid)
        rest = listing(full.ACCOUNT, before=last, limit=3)

        assert first + rest == made[::-1]
        assert listing(AccountId("other"), before=None, limit=3) == []
