"""The store of instances of a world, behind its points."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache

from dev.memory.stores import MemoryInstances
from shared.application.ports import PageKey, PhaseEntry, PhaseWindow, Reservation, Unreadable
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.due import SHARDS, far_partition, partition, swept_partition
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import Answer, EventHistory, EventRecord, JournalEntry
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.phase import Phase, PhaseRange
from shared.domain.instance.verdict import AuditEntry
from tests.simulation.index import ExactIndex, LaggingIndex
from tests.simulation.points import Points


@cache
def swept_partitions(shards: int) -> frozenset[str]:
    """Return the partitions of the due index that the sweeper reads for the first shards."""
    return frozenset(name(shard) for shard in range(shards) for name in (swept_partition, far_partition))


ALL_SWEPT = swept_partitions(SHARDS)


@dataclass
class Instances(Points):
    """The store of a world, which has instances in the first ``shards`` shards.

    ``commit_watchers`` see each change when it is stored, ``load_watchers`` each load, and ``due_watchers`` the entries
    that a query of the due index returned. ``too_late`` are journal entries of runners that had lost their event.
    ``unreadable`` are instances that raise an error when they are loaded. ``entries`` are those of the due index,
    ``index`` has those that queries see if it lags behind the store, and ``largest_page`` is the most entries that a
    query returns.
    """

    store: MemoryInstances = field(default_factory=MemoryInstances)
    commit_watchers: list[Callable[[Instance], None]] = field(default_factory=list)
    load_watchers: list[Callable[[InstanceSid], None]] = field(default_factory=list)
    due_watchers: list[Callable[[Sequence[DueEntry[InstanceSid]]], None]] = field(default_factory=list)
    too_late: list[JournalEntry] = field(default_factory=list)
    shards: int = 1
    unreadable: dict[InstanceSid, Callable[[], Exception]] = field(default_factory=dict)
    entries: ExactIndex = field(default_factory=lambda: ExactIndex(ALL_SWEPT))
    index: LaggingIndex | None = None
    largest_page: int = 2000

    def load(self, sid: InstanceSid) -> Instance | None:
        for watch in self.load_watchers:
            watch(sid)
        self.io("load")
        self._must_be_readable(sid)
        return self.store.load(sid)

    def create(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
        reservation: Reservation | None = None,
    ) -> None:
        self.io("create")
        self.store.create(instance, records=records, audit=audit, reservation=reservation)
        self.show(instance)
        self.written("created")

    def commit(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
        reopened: EventRecord | None = None,
    ) -> None:
        self.io("commit")
        if records or reopened is not None:
            self.check("commit_records")
        if audit is not None:
            self.check("commit_audit")
        self.store.commit(instance, records=records, audit=audit, reopened=reopened)
        self.show(instance)
        for watch in self.commit_watchers:
            watch(instance)
        self.written("committed")
        self.may_lose_reply()

    def append(self, instance: Instance, entry: JournalEntry) -> None:
        self.io("append")
        self.store.append(instance, entry)
        now = self.store.instances[instance.sid]
        if now.executing is None or (now.executing.seq, now.fence) != (entry.seq, entry.fence):
            self.too_late.append(entry)
        self.written("appended", is_conditional=False)

    def put_answer(self, instance: Instance, seq: int, answer: Answer) -> None:
        self.io("put_answer")
        self.store.put_answer(instance, seq, answer)
        self.written("answer_put", is_conditional=False)

    def put_record(self, instance: Instance, record: EventRecord) -> None:
        self.io("put_record")
        self.store.put_record(instance, record)
        self.written("record_put", is_conditional=False)

    def event_history(self, sid: InstanceSid, seq: int) -> EventHistory:
        self.io("event_history")
        self._must_be_readable(sid)
        return self.store.event_history(sid, seq)

    def records_before(
        self, sid: InstanceSid, seq: int, *, limit: int
    ) -> list[EventRecord | Unreadable[int]]:
        return self.store.records_before(sid, seq, limit=limit)

    def journal_between(
        self, sid: InstanceSid, first: int, last: int
    ) -> list[JournalEntry | Unreadable[int]]:
        return self.store.journal_between(sid, first, last)

    def records_of_month(
        self, account: AccountId, month: date, *, since: datetime, until: datetime, limit: int
    ) -> Iterator[EventRecord | Unreadable[str]]:
        return self.store.records_of_month(account, month, since=since, until=until, limit=limit)

    def due(self, partition: str, *, until: datetime, limit: int) -> list[DueEntry[InstanceSid]]:
        # If reading shards without instances could fail too, few faults would be left for the rest.
        if partition not in ALL_SWEPT or partition in swept_partitions(self.shards):
            self.io("due")
        most = min(limit, self.largest_page)
        if self.index is None:
            shown = self.entries.due(partition, until=until, limit=most)
        else:
            shown = self.index.due(partition, until=until, limit=most, now=self.now_at)
        entries = [DueEntry(sid=InstanceSid(sid), partition=partition, at=at) for at, sid in shown]
        for watch in self.due_watchers:
            watch(entries)
        return entries

    def postpone(self, entry: DueEntry[InstanceSid], *, now: datetime) -> bool:
        self.io("postpone")
        is_postponed = self.store.postpone(entry, now=now)
        if is_postponed:
            self.show(self.store.instances[entry.sid])
        self.written("postponed", is_conditional=False)
        return is_postponed

    def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
        self.io("load_many")
        broken = set(self.unreadable) if self.stage.current is not None else set()
        readable = self.store.load_many([sid for sid in sids if sid not in broken])
        return [*readable, *(Unreadable(key=sid, why="schema 99") for sid in sids if sid in broken)]

    def of_strategy(
        self,
        strategy: StrategySid,
        statuses: Sequence[InstanceStatus | Phase],
        *,
        before: PageKey | None,
        limit: int,
        since: datetime | None = None,
    ) -> list[PageKey]:
        return self.store.of_strategy(strategy, statuses, before=before, limit=limit, since=since)

    def oldest_of_strategy(
        self,
        strategy: StrategySid,
        statuses: Sequence[InstanceStatus | Phase],
        *,
        after: PageKey | None,
        until: datetime,
        limit: int,
    ) -> list[PageKey]:
        self.io("oldest_of_strategy")
        return self.store.oldest_of_strategy(strategy, statuses, after=after, until=until, limit=limit)

    def of_account(
        self,
        account: AccountId,
        *,
        before: PageKey | None,
        limit: int,
        since: datetime | None = None,
    ) -> list[PageKey]:
        return self.store.of_account(account, before=before, limit=limit, since=since)

    def with_reference(
        self, account: AccountId, reference: str, *, before: PageKey | None, limit: int
    ) -> list[PageKey]:
        return self.store.with_reference(account, reference, before=before, limit=limit)

    def with_attribute(
        self, account: AccountId, name: str, text: str, *, before: PageKey | None, limit: int
    ) -> list[PageKey]:
        return self.store.with_attribute(account, name, text, before=before, limit=limit)

    def in_phases(
        self, account: AccountId, ranges: Sequence[PhaseRange], *, window: PhaseWindow, limit: int
    ) -> list[PhaseEntry]:
        self.io("in_phases")
        return self.store.in_phases(account, ranges, window=window, limit=limit)

    def count_in_phase(self, account: AccountId, phase: Phase, *, most: int) -> int:
        return self.store.count_in_phase(account, phase, most=most)

    def count_of_strategy(self, strategy: StrategySid, status: InstanceStatus | Phase, *, most: int) -> int:
        return self.store.count_of_strategy(strategy, status, most=most)

    def count_with_problems(self, account: AccountId, *, most: int) -> int:
        return self.store.count_with_problems(account, most=most)

    def count_closed(
        self, account: AccountId, month: date, *, since: datetime, until: datetime, most: int
    ) -> Mapping[EventStatus, int]:
        return self.store.count_closed(account, month, since=since, until=until, most=most)

    def with_problems(self, account: AccountId, *, before: PageKey | None, limit: int) -> list[PageKey]:
        return self.store.with_problems(account, before=before, limit=limit)

    def _must_be_readable(self, sid: InstanceSid) -> None:
        """Raise the error of an instance that cannot be read."""
        error = self.unreadable.get(sid)
        if error is not None and self.stage.current is not None:
            self.unreadable_met_at = self.now_at
            raise error()

    def show(self, instance: Instance) -> None:
        """Let the due index follow a change."""
        at = self.store.entry_at(instance)
        self.entries.change(instance.sid, partition(instance), at)
        if self.index is not None:
            self.index.change(instance.sid, partition(instance), at, now=self.now_at)
