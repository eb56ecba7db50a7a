"""The contract of an ``InstanceStore``, on every engine."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from shared.application.ports import StaleRevError, all_readable
from shared.domain.ids import AccountId, InstanceSid
from shared.domain.instance.due import GRACE, blocked_partition, swept_partition
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.journal import EventHistory, EventRecord, JournalEntry
from shared.domain.instance.model import (
    MAX_UNFINISHED_EVENTS,
    Blocked,
    BlockedBy,
    Instance,
    InstanceStatus,
)
from tests import full
from tests.contract.instances import (
    A_LONG_TIME,
    SHARD,
    a_record,
    an_audit,
    an_entry,
    an_event,
    an_instance,
    changed,
)
from tests.engines import Stores
from tests.full import at


class TestAnInstance:
    """An instance is read as last stored."""

    def test_an_unknown_instance_is_none(self, stores: Stores) -> None:
        assert stores.instances.load(InstanceSid("i-0")) is None

    def test_every_field_of_an_instance_survives(self, stores: Stores) -> None:
        stores.instances.create(full.INSTANCE)
        assert stores.instances.load(full.SID) == full.INSTANCE

    def test_a_minimal_instance_survives(self, stores: Stores) -> None:
        bare = replace(an_instance(), events=())
        stores.instances.create(bare)
        assert stores.instances.load(bare.sid) == bare

    def test_large_attributes_survive(self, stores: Stores) -> None:
        large = replace(
            an_instance(), attributes={"text": "é" * 8000, "quote": '"' * 100, "line": "\n\t\x00"}
        )
        stores.instances.create(large)
        assert stores.instances.load(large.sid) == large

    def test_an_unpaired_surrogate_survives(self, stores: Stores) -> None:
        odd = replace(an_instance(), attributes={"text": "a\ud83d", "\udc00": "é"})
        stores.instances.create(odd)
        assert stores.instances.load(odd.sid) == odd

    def test_the_maximum_number_of_events_survives(self, stores: Stores) -> None:
        events = tuple(replace(full.EVENT, seq=seq) for seq in range(1, MAX_UNFINISHED_EVENTS + 1))
        busy = replace(an_instance(), events=events)
        stores.instances.create(busy)
        assert stores.instances.load(busy.sid) == busy

    def test_instances_are_stored_separately(self, stores: Stores) -> None:
        stores.instances.create(an_instance("i-1"))
        stores.instances.create(an_instance("i-2"))
        stores.instances.commit(changed(an_instance("i-1"), description="changed"))
        assert stores.instances.load(InstanceSid("i-2")) == an_instance("i-2")


class TestCreating:
    """A sid is used once."""

    def test_creating_a_sid_twice_is_refused_and_writes_nothing(self, stores: Stores) -> None:
        stores.instances.create(an_instance())
        other = replace(an_instance(), description="other")
        with pytest.raises(StaleRevError):
            stores.instances.create(other, records=[a_record(other)])
        assert stores.instances.load(other.sid) == an_instance()
        assert stores.instances.event_history(other.sid, 1) == EventHistory()

    def test_records_are_stored_with_a_new_instance(self, stores: Stores) -> None:
        stores.instances.create(an_instance(), records=[a_record(an_instance())])
        assert stores.instances.load(InstanceSid("i-1")) == an_instance()
        assert stores.instances.event_history(InstanceSid("i-1"), 1) == EventHistory(
            record=a_record(an_instance())
        )

    def test_the_audit_entry_is_stored_with_a_new_instance(self, stores: Stores) -> None:
        stores.instances.create(an_instance(), audit=full.AUDIT)
        assert stores.instances.load(InstanceSid("i-1")) == an_instance()
        assert stores.audits() == [full.AUDIT]

    def test_a_refused_creation_stores_no_audit_entry(self, stores: Stores) -> None:
        stores.instances.create(an_instance())
        with pytest.raises(StaleRevError):
            stores.instances.create(an_instance(), audit=full.AUDIT)
        assert stores.audits() == []


class TestCommitting:
    """A change is stored with its records and audit entry, if the instance has not changed since."""

    def test_the_change_is_read_at_once(self, stores: Stores) -> None:
        instance = an_instance()
        stores.instances.create(instance)
        for _ in range(3):
            instance = changed(instance, description=f"after {instance.rev}")
            stores.instances.commit(instance)
            assert stores.instances.load(instance.sid) == instance

    @pytest.mark.parametrize("rev", [1, 3, 0])
    def test_a_commit_on_another_rev_is_refused(self, stores: Stores, rev: int) -> None:
        stores.instances.create(an_instance())
        with pytest.raises(StaleRevError):
            stores.instances.commit(replace(an_instance(), rev=rev, description="late"))
        assert stores.instances.load(InstanceSid("i-1")) == an_instance()

    def test_a_commit_of_an_unknown_instance_is_refused(self, stores: Stores) -> None:
        with pytest.raises(StaleRevError):
            stores.instances.commit(an_instance())
        assert stores.instances.load(InstanceSid("i-1")) is None

    def test_records_and_audit_are_stored_with_the_commit(self, stores: Stores) -> None:
        stores.instances.create(an_instance())
        after = changed(an_instance(), events=())
        records = [a_record(after), a_record(after, 2)]
        stores.instances.commit(after, records=records, audit=an_audit(after))
        assert stores.instances.load(after.sid) == after
        assert [stores.instances.event_history(after.sid, seq).record for seq in (1, 2)] == records
        assert stores.audits() == [an_audit(after)]

    def test_an_audit_entry_needs_no_records(self, stores: Stores) -> None:
        stores.instances.create(an_instance())
        after = changed(an_instance())
        stores.instances.commit(after, audit=an_audit(after))
        assert stores.audits() == [an_audit(after)]

    def test_a_refused_commit_stores_no_records_and_no_audit(self, stores: Stores) -> None:
        stores.instances.create(an_instance())
        late = replace(an_instance(), rev=7)
        with pytest.raises(StaleRevError):
            stores.instances.commit(late, records=[a_record(late)], audit=an_audit(late))
        assert stores.instances.load(late.sid) == an_instance()
        assert stores.instances.event_history(late.sid, 1) == EventHistory()
        assert stores.audits() == []

    def test_two_writers_cannot_both_win(self, stores: Stores) -> None:
        stores.instances.create(an_instance())
        seen = [stores.instances.load(InstanceSid("i-1")) for _ in range(2)]
        first, second = (
            changed(found, description=name) for found, name in zip(seen, "ab", strict=True) if found
        )
        stores.instances.commit(first, audit=an_audit(first))
        with pytest.raises(StaleRevError):
            stores.instances.commit(second, audit=an_audit(second))
        assert stores.instances.load(first.sid) == first

    def test_the_same_commit_is_refused_the_second_time(self, stores: Stores) -> None:
        stores.instances.create(an_instance())
        stores.instances.commit(changed(an_instance()))
        with pytest.raises(StaleRevError):
            stores.instances.commit(changed(an_instance()))

    def test_all_events_of_a_full_instance_close_at_once(self, stores: Stores) -> None:
        seqs = range(1, MAX_UNFINISHED_EVENTS + 1)
        busy = replace(an_instance(), events=tuple(an_event(seq) for seq in seqs))
        stores.instances.create(busy)
        after = changed(busy, events=(), status=InstanceStatus.CANCELED)
        records = [a_record(after, seq) for seq in [*seqs, MAX_UNFINISHED_EVENTS + 1]]
        stores.instances.commit(after, records=records, audit=an_audit(after))
        assert stores.instances.load(after.sid) == after
        assert stores.instances.event_history(after.sid, 50).record == records[49]
        assert stores.instances.event_history(after.sid, 51).record == records[50]

    def test_a_record_replaces_a_record_of_the_same_fence(self, stores: Stores) -> None:
        stores.instances.create(an_instance())
        stores.instances.put_record(an_instance(), a_record(an_instance(), why="first"))
        after = changed(an_instance(), events=())
        stores.instances.commit(after, records=[a_record(after, why="second")])
        assert stores.instances.event_history(after.sid, 1).record == a_record(after, why="second")


class TestATrail:
    """The history of an event has its journal in order, its answers and its record."""

    def test_an_event_that_never_ran_has_no_history(self, stores: Stores) -> None:
        assert stores.instances.event_history(InstanceSid("i-1"), 1) == EventHistory()

    def test_every_field_of_a_history_survives(self, stores: Stores) -> None:
        stores.instances.append(full.INSTANCE, full.ENTRY)
        stores.instances.put_record(full.INSTANCE, full.RECORD)
        stores.instances.put_answer(full.INSTANCE, full.ENTRY.seq, full.ANSWER)
        assert stores.instances.event_history(full.SID, full.ENTRY.seq) == EventHistory(
            entries=(full.ENTRY,), record=full.RECORD, answers=(full.ANSWER,)
        )

    def test_journals_of_several_events_exclude_their_answers(self, stores: Stores) -> None:
        for seq in (1, 2, 3):
            stores.instances.append(an_instance(), an_entry(seq=seq))
            stores.instances.put_answer(an_instance(), seq, full.ANSWER)
        journals = stores.instances.journal_between

        assert journals(InstanceSid("i-1"), 1, 2) == [an_entry(seq=1), an_entry(seq=2)]
        assert journals(InstanceSid("i-1"), 3, 3) == [an_entry(seq=3)]
        assert journals(InstanceSid("i-1"), 4, 9) == []

    def test_answers_are_distinguished_by_key_and_event(self, stores: Stores) -> None:
        one, two = full.ANSWER, replace(full.ANSWER, key="cafe", body=None)
        for answer in (one, two, one):
            stores.instances.put_answer(full.INSTANCE, 7, answer)
        stores.instances.put_answer(full.INSTANCE, 8, one)
        assert stores.instances.event_history(full.SID, 7).answers == (two, one)
        assert stores.instances.event_history(full.SID, 8).answers == (one,)

    def test_entries_are_sorted_by_run_and_visit(self, stores: Stores) -> None:
        order = [(10, 2), (2, 1), (1, 200), (1, 9), (10, 1), (1, 10)]
        for run, visit in order:
            stores.instances.append(an_instance(), an_entry(run, visit))
        found = stores.instances.event_history(InstanceSid("i-1"), 1).entries
        assert [(e.run, e.intent.visit) for e in found] == [
            (1, 9),
            (1, 10),
            (1, 200),
            (2, 1),
            (10, 1),
            (10, 2),
        ]

    def test_a_history_excludes_other_events_and_instances(self, stores: Stores) -> None:
        for seq in (1, 10, 11, 100_000):
            stores.instances.append(an_instance(), an_entry(seq=seq))
        stores.instances.append(an_instance("i-2"), an_entry(visit=2))
        stores.instances.put_record(an_instance("i-2"), a_record(an_instance("i-2")))
        assert stores.instances.event_history(InstanceSid("i-1"), 1) == EventHistory(entries=(an_entry(),))

    def test_a_history_larger_than_a_page_is_read_completely(self, stores: Stores) -> None:
        entries = tuple(an_entry(visit=visit, error="x" * 190_000) for visit in range(1, 9))
        for entry in entries:
            stores.instances.append(an_instance(), entry)
        assert stores.instances.event_history(InstanceSid("i-1"), 1) == EventHistory(entries=entries)


class TestReopening:
    """A commit that reopens an event removes its record and adds the record's step to the journal."""

    def reopened(self, stores: Stores, last: JournalEntry | None) -> tuple[Instance, EventRecord]:
        stores.instances.create(an_instance())
        record = replace(a_record(an_instance(), fence=4), last=last)
        stores.instances.put_record(an_instance(), record)
        return changed(an_instance(), description="again"), record

    def test_the_record_is_removed_and_its_step_is_in_the_journal(self, stores: Stores) -> None:
        after, record = self.reopened(stores, an_entry(run=1, visit=2, fence=4))
        stores.instances.append(after, an_entry(run=1, visit=1, fence=4))
        stores.instances.commit(after, audit=an_audit(after), reopened=record)
        assert stores.instances.load(after.sid) == after
        assert stores.instances.event_history(after.sid, 1) == EventHistory(
            entries=(an_entry(run=1, visit=1, fence=4), an_entry(run=1, visit=2, fence=4))
        )
        assert stores.audits() == [an_audit(after)]

    def test_a_record_without_a_step_is_removed(self, stores: Stores) -> None:
        after, record = self.reopened(stores, None)
        stores.instances.commit(after, reopened=record)
        assert stores.instances.event_history(after.sid, 1) == EventHistory()

    def test_a_refused_reopening_changes_nothing(self, stores: Stores) -> None:
        after, record = self.reopened(stores, an_entry(fence=4))
        with pytest.raises(StaleRevError):
            stores.instances.commit(replace(after, rev=7), reopened=record)
        assert stores.instances.event_history(after.sid, 1) == EventHistory(record=record)

    def test_the_same_reopening_is_refused_the_second_time(self, stores: Stores) -> None:
        after, record = self.reopened(stores, an_entry(fence=4))
        stores.instances.commit(after, reopened=record)
        with pytest.raises(StaleRevError):
            stores.instances.commit(after, reopened=record)
        assert stores.instances.event_history(after.sid, 1) == EventHistory(entries=(an_entry(fence=4),))

    def test_a_record_that_has_expired_cannot_be_reopened(self, stores: Stores) -> None:
        _, record = self.reopened(stores, an_entry(fence=4))
        gone = replace(record, event=replace(record.event, seq=2))
        with pytest.raises(StaleRevError):
            stores.instances.commit(changed(an_instance()), audit=an_audit(an_instance()), reopened=gone)
        assert stores.instances.load(InstanceSid("i-1")) == an_instance()
        assert stores.audits() == []

    def test_a_record_that_was_replaced_cannot_be_reopened(self, stores: Stores) -> None:
        after, record = self.reopened(stores, an_entry(fence=4))
        later = replace(record, fence=5)
        stores.instances.put_record(an_instance(), later)
        with pytest.raises(StaleRevError):
            stores.instances.commit(after, reopened=record)
        assert stores.instances.event_history(after.sid, 1) == EventHistory(record=later)

    def test_a_record_of_the_next_run_can_be_stored(self, stores: Stores) -> None:
        after, record = self.reopened(stores, None)
        stores.instances.commit(after, reopened=record)
        again = a_record(after, fence=5, why="again")
        stores.instances.put_record(after, again)
        assert stores.instances.event_history(after.sid, 1) == EventHistory(record=again)


class TestRecordsOfAMonth:
    """The records of an account that closed in a month are read latest first, over all its instances."""

    JANUARY = date(2026, 1, 15)
    WHOLE: ClassVar[dict[str, datetime]] = {
        "since": datetime(2026, 1, 1, tzinfo=UTC),
        "until": datetime(2026, 2, 1, tzinfo=UTC),
    }

    def stored(self, stores: Stores, *closed: datetime, account: str = full.ACCOUNT) -> None:
        """Store one record for each instant, each of its own instance, over all shards."""
        for number, finished_at in enumerate(closed):
            sid = InstanceSid(f"{account}-{number}")
            instance = replace(an_instance(sid), account_id=AccountId(account), shard=number % 16)
            stores.instances.create(instance)
            stores.instances.put_record(instance, replace(a_record(instance), finished_at=finished_at))

    def closed_at(self, stores: Stores, *, limit: int = 100, **window: Any) -> list[datetime]:
        found = stores.instances.records_of_month(
            full.ACCOUNT, self.JANUARY, **{**self.WHOLE, **window}, limit=limit
        )
        return [record.finished_at for record in all_readable(found)]

    def test_a_month_without_records_is_empty(self, stores: Stores) -> None:
        assert self.closed_at(stores) == []

    def test_the_latest_records_come_first_up_to_the_limit(self, stores: Stores) -> None:
        self.stored(stores, *(at(day) for day in (3, 20, 7, 9, 30)))
        assert self.closed_at(stores) == [at(day) for day in (30, 20, 9, 7, 3)]
        assert self.closed_at(stores, limit=2) == [at(30), at(20)]

    def test_only_records_of_the_window_are_read(self, stores: Stores) -> None:
        self.stored(stores, at(3), at(4), at(4, microsecond=400), at(5))
        assert self.closed_at(stores, since=at(4, microsecond=300), until=at(5)) == [at(4, microsecond=400)]
        assert self.closed_at(stores, since=at(4), until=at(4)) == []

    def test_only_records_of_the_month_are_read(self, stores: Stores) -> None:
        december = datetime(2025, 12, 31, 23, 59, tzinfo=UTC)
        self.stored(stores, december, at(1), datetime(2026, 2, 1, tzinfo=UTC))
        assert self.closed_at(stores, since=december, until=datetime(2026, 3, 1, tzinfo=UTC)) == [at(1)]

    def test_only_records_of_the_account_are_read(self, stores: Stores) -> None:
        self.stored(stores, at(3), account="other")
        assert self.closed_at(stores) == []

    def test_more_records_than_a_batch_are_read_completely(self, stores: Stores) -> None:
        closed = [at(3) + timedelta(seconds=number) for number in range(130)]
        self.stored(stores, *closed)
        assert self.closed_at(stores, limit=1000) == closed[::-1]

    def test_a_removed_record_is_left_out(self, stores: Stores) -> None:
        self.stored(stores, at(3), at(4))
        instance = stores.instances.load(InstanceSid(f"{full.ACCOUNT}-0"))
        assert instance is not None
        record = replace(a_record(instance), finished_at=at(3))
        stores.instances.commit(changed(instance), reopened=record)
        assert self.closed_at(stores) == [at(4)]

    def test_every_field_of_a_record_survives(self, stores: Stores) -> None:
        stores.instances.create(full.INSTANCE, records=[full.RECORD])
        (found,) = stores.instances.records_of_month(full.ACCOUNT, self.JANUARY, **self.WHOLE, limit=9)
        assert found == full.RECORD


class TestRecordsInOrder:
    """The records of an instance's events are read highest number first, from any number down."""

    def seqs(self, stores: Stores, before: int, limit: int = 100) -> list[int]:
        found = stores.instances.records_before(InstanceSid("i-1"), before, limit=limit)
        return [record.event.seq for record in all_readable(found)]

    def stored(self, stores: Stores, *seqs: int) -> None:
        for seq in seqs:
            stores.instances.put_record(an_instance(), a_record(an_instance(), seq))

    def test_an_instance_without_records_has_none(self, stores: Stores) -> None:
        assert self.seqs(stores, 100) == []

    def test_the_highest_numbers_below_a_number_come_first(self, stores: Stores) -> None:
        self.stored(stores, 2, 11, 1, 100, 3)
        assert self.seqs(stores, 101) == [100, 11, 3, 2, 1]
        assert self.seqs(stores, 100) == [11, 3, 2, 1]
        assert self.seqs(stores, 1) == []

    def test_no_more_records_than_the_limit_are_read(self, stores: Stores) -> None:
        self.stored(stores, 1, 2, 3, 4)
        assert self.seqs(stores, 100, limit=2) == [4, 3]
        assert self.seqs(stores, 3, limit=2) == [2, 1]

    def test_journals_and_other_instances_are_excluded(self, stores: Stores) -> None:
        self.stored(stores, 1)
        stores.instances.append(an_instance(), an_entry(seq=2))
        stores.instances.put_record(an_instance("i-2"), a_record(an_instance("i-2"), 3))
        stores.instances.put_record(an_instance("i-10"), a_record(an_instance("i-10"), 3))
        assert self.seqs(stores, 100) == [1]

    def test_every_field_of_a_numbered_record_survives(self, stores: Stores) -> None:
        stores.instances.put_record(full.INSTANCE, full.RECORD)
        assert stores.instances.records_before(full.SID, 8, limit=1) == [full.RECORD]


class TestJournalsInOrder:
    """The journals of a range of events are read at once."""

    def test_journal_entries_are_sorted_by_event_run_and_visit(self, stores: Stores) -> None:
        order = [(3, 1, 1), (2, 10, 2), (2, 2, 1), (11, 1, 1), (2, 10, 1), (1, 1, 1)]
        for seq, run, visit in order:
            stores.instances.append(an_instance(), an_entry(run, visit, seq=seq))
        found = all_readable(stores.instances.journal_between(InstanceSid("i-1"), 2, 3))
        assert [(e.seq, e.run, e.intent.visit) for e in found] == [
            (2, 2, 1),
            (2, 10, 1),
            (2, 10, 2),
            (3, 1, 1),
        ]

    def test_the_journal_of_a_single_event_is_read(self, stores: Stores) -> None:
        for seq in (4, 5, 6):
            stores.instances.append(an_instance(), an_entry(seq=seq))
        stores.instances.append(an_instance("i-2"), an_entry(seq=5))
        stores.instances.put_record(an_instance(), a_record(an_instance(), 5))
        assert stores.instances.journal_between(InstanceSid("i-1"), 5, 5) == [an_entry(seq=5)]

    def test_events_that_never_ran_have_no_journal(self, stores: Stores) -> None:
        assert stores.instances.journal_between(InstanceSid("i-1"), 1, 100) == []

    def test_journals_larger_than_a_page_are_read_completely(self, stores: Stores) -> None:
        entries = [an_entry(seq=seq, error="x" * 190_000) for seq in range(1, 9)]
        for entry in entries:
            stores.instances.append(an_instance(), entry)
        assert stores.instances.journal_between(InstanceSid("i-1"), 1, 8) == entries


class TestFences:
    """The higher fence wins."""

    @pytest.mark.parametrize(("first", "second", "stays"), [(8, 9, "new"), (9, 9, "new"), (9, 8, "old")])
    def test_a_journal_entry_with_a_lower_fence_is_not_stored(
        self, stores: Stores, first: int, second: int, stays: str
    ) -> None:
        stores.instances.append(an_instance(), an_entry(fence=first, error="old"))
        stores.instances.append(an_instance(), an_entry(fence=second, error="new"))
        (found,) = stores.instances.event_history(InstanceSid("i-1"), 1).entries
        assert (found.outcome.response, found.fence) == (stays, max(first, second))

    @pytest.mark.parametrize(("first", "second", "stays"), [(8, 9, "new"), (9, 9, "new"), (9, 8, "old")])
    def test_a_record_with_a_lower_fence_is_not_stored(
        self, stores: Stores, first: int, second: int, stays: str
    ) -> None:
        instance = an_instance()
        stores.instances.put_record(instance, a_record(instance, fence=first, why="old"))
        stores.instances.put_record(instance, a_record(instance, fence=second, why="new"))
        assert stores.instances.event_history(instance.sid, 1).record == a_record(
            instance, fence=max(first, second), why=stays
        )


class TestSweepEntries:
    """The due index has an entry for each instance that the sweeper must check, at the right time."""

    def entries(
        self, stores: Stores, partition: str = SHARD, *, until: datetime | None = None
    ) -> list[DueEntry[InstanceSid]]:
        return stores.instances.due(partition, until=until or at(1) + A_LONG_TIME, limit=100)

    def due(self, stores: Stores, partition: str = SHARD, *, until: datetime | None = None) -> list[str]:
        return [entry.sid for entry in self.entries(stores, partition, until=until)]

    def test_the_sweep_entry_appears_with_the_instance(self, stores: Stores) -> None:
        stores.instances.create(an_instance())
        assert self.due(stores) == ["i-1"]
        assert self.due(stores, swept_partition(4)) == []

    def test_the_sweep_entry_is_due_at_its_instant(self, stores: Stores) -> None:
        stores.instances.create(an_instance(due=at(20, microsecond=1_000)))
        due = at(20, microsecond=1_000) + GRACE
        assert self.due(stores, until=due) == ["i-1"]
        assert self.due(stores, until=due - timedelta(milliseconds=1)) == []

    def test_a_fraction_of_a_millisecond_is_rounded_up(self, stores: Stores) -> None:
        stores.instances.create(an_instance(due=at(20, microsecond=1_400)))
        assert self.due(stores, until=at(20, microsecond=1_000) + GRACE) == []
        assert self.due(stores, until=at(20, microsecond=2_000) + GRACE) == ["i-1"]

    def test_the_sweep_entry_moves_with_the_instance(self, stores: Stores) -> None:
        stores.instances.create(an_instance(due=at(5)))
        stores.instances.commit(changed(an_instance(), events=(an_event(due=at(25)),)))
        assert self.due(stores, until=at(20)) == []
        assert self.due(stores, until=at(26)) == ["i-1"]

    def test_an_instance_without_events_ahead_has_no_sweep_entry(self, stores: Stores) -> None:
        stores.instances.create(an_instance())
        paused = changed(an_instance(), status=InstanceStatus.PAUSED)
        stores.instances.commit(paused)
        assert self.due(stores) == []
        stores.instances.commit(changed(paused, status=InstanceStatus.ACTIVE))
        assert self.due(stores) == ["i-1"]

    @pytest.mark.parametrize(
        ("flag", "partition"),
        [
            (BlockedBy.QUEUE, blocked_partition(BlockedBy.QUEUE, full.ACCOUNT, 3)),
            (BlockedBy.STRATEGY, blocked_partition(BlockedBy.STRATEGY, full.STRATEGY, 3)),
        ],
    )
    def test_blocked_instances_have_their_own_partition(
        self, stores: Stores, flag: BlockedBy, partition: str
    ) -> None:
        stores.instances.create(an_instance())
        stores.instances.commit(changed(an_instance(), blocked=Blocked(by=flag, since=at(1))))
        assert self.due(stores) == []
        assert self.due(stores, partition) == ["i-1"]

    def test_the_earliest_sweep_entries_come_first_up_to_the_limit(self, stores: Stores) -> None:
        for number in (7, 3, 9, 5):
            stores.instances.create(an_instance(f"i-{number}", due=at(number)))
        assert self.due(stores) == ["i-3", "i-5", "i-7", "i-9"]
        assert [entry.sid for entry in stores.instances.due(SHARD, until=at(8), limit=2)] == ["i-3", "i-5"]
        assert self.due(stores, until=at(8)) == ["i-3", "i-5", "i-7"]


class TestPostponing:
    """A sweep entry moves on by a back-off without its instance, until the instance is stored again."""

    DUE = at(20) + GRACE
    NOW = at(21)

    def entry(self, stores: Stores) -> DueEntry[InstanceSid]:
        (entry,) = stores.instances.due(SHARD, until=at(30), limit=9)
        return entry

    def test_the_first_back_off_is_a_minute(self, stores: Stores) -> None:
        stores.instances.create(an_instance())
        assert self.entry(stores) == DueEntry(sid=InstanceSid("i-1"), partition=SHARD, at=self.DUE)

        assert stores.instances.postpone(self.entry(stores), now=self.NOW)

        assert self.entry(stores).at == self.NOW + timedelta(minutes=1)

    def test_further_back_offs_double_up_to_an_hour(self, stores: Stores) -> None:
        stores.instances.create(an_instance())

        waits = []
        for _ in range(8):
            assert stores.instances.postpone(self.entry(stores), now=self.NOW)
            waits.append((self.entry(stores).at - self.NOW) // timedelta(minutes=1))

        assert waits == [1, 2, 4, 8, 16, 32, 60, 60]

    def test_the_instance_stays_as_it_is(self, stores: Stores) -> None:
        stores.instances.create(an_instance())

        stores.instances.postpone(self.entry(stores), now=self.NOW)

        assert stores.instances.load(InstanceSid("i-1")) == an_instance()
        stores.instances.commit(changed(an_instance()))

    def test_a_stored_instance_is_due_when_it_says_and_starts_over(self, stores: Stores) -> None:
        stores.instances.create(an_instance())
        for _ in range(3):
            stores.instances.postpone(self.entry(stores), now=self.NOW)

        stores.instances.commit(changed(an_instance()))

        assert self.entry(stores).at == self.DUE
        stores.instances.postpone(self.entry(stores), now=self.NOW)
        assert self.entry(stores).at == self.NOW + timedelta(minutes=1)

    def test_an_entry_that_was_moved_is_left_alone(self, stores: Stores) -> None:
        stores.instances.create(an_instance())
        before = self.entry(stores)
        assert stores.instances.postpone(before, now=self.NOW)

        assert not stores.instances.postpone(before, now=at(25))

        assert self.entry(stores).at == self.NOW + timedelta(minutes=1)

    def test_an_instance_without_an_entry_gets_none(self, stores: Stores) -> None:
        stores.instances.create(an_instance())
        before = self.entry(stores)
        stores.instances.commit(changed(an_instance(), status=InstanceStatus.PAUSED))

        assert not stores.instances.postpone(before, now=self.NOW)

        assert stores.instances.due(SHARD, until=at(30), limit=9) == []

    def test_an_entry_that_was_blocked_stays_in_its_partition(self, stores: Stores) -> None:
        stores.instances.create(an_instance())
        before = self.entry(stores)
        stores.instances.commit(changed(an_instance(), blocked=Blocked(by=BlockedBy.QUEUE, since=at(1))))

        assert not stores.instances.postpone(before, now=self.NOW)

        blocked = blocked_partition(BlockedBy.QUEUE, full.ACCOUNT, 3)
        assert [entry.at for entry in stores.instances.due(blocked, until=at(30), limit=9)] == [self.DUE]

    def test_an_unknown_instance_is_not_stored(self, stores: Stores) -> None:
        gone = DueEntry(sid=InstanceSid("gone"), partition=SHARD, at=self.DUE)

        assert not stores.instances.postpone(gone, now=self.NOW)

        assert stores.instances.load(InstanceSid("gone")) is None
