"""Stores in memory that keep the same contract as the real ones.

Source: shared/application/ports.py; tests/contract.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from msgspec.structs import replace

from shared.adapters.dynamodb.instances import prefix_of
from shared.adapters.dynamodb.tables import OPERATIONS, phase_order
from shared.application.ports import (
    AuditPosition,
    FolderEntry,
    NameTakenError,
    Operation,
    PageKey,
    PhaseEntry,
    PhaseWindow,
    Reservation,
    ReservedError,
    SavedSettings,
    SealedSettings,
    StaleRevError,
    UnknownStrategyError,
    Unreadable,
    all_readable,
)
from shared.domain.access import AccessKey, Session
from shared.domain.bulk.operation import BulkOperation
from shared.domain.bulk.release import ReleaseJob
from shared.domain.ids import AccountId, InstanceSid, OperationSid, StrategySid
from shared.domain.instance.due import back_off, partition, sweep_at
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.event import EventStatus
from shared.domain.instance.flags import Flags
from shared.domain.instance.journal import Answer, EventHistory, EventRecord, JournalEntry
from shared.domain.instance.lookup import searched_attributes
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.phase import Phase, PhaseRange, list_label, list_labels, reason_of, stored_phase
from shared.domain.instance.problems import problem_at
from shared.domain.instance.verdict import AuditEntry
from shared.domain.notifications.webhook import Webhook
from shared.domain.strategy.flag import Flag, FlagPause
from shared.domain.strategy.model import Json, Strategy, StrategyHead, StrategyVersion
from shared.domain.strategy.parse import stored_definition


@dataclass(slots=True)
class Postponements:
    """The entries of a due index that were moved on, with how often. Storing an item again removes its own."""

    by_sid: dict[str, tuple[object, int, datetime]] = field(default_factory=dict)

    def postpone(self, item: Instance | Operation, *, now: datetime) -> None:
        """Move the entry of an item on."""
        stored, count, _ = self.by_sid.get(item.sid, (None, 0, now))
        count = count + 1 if stored is item else 1
        self.by_sid[item.sid] = (item, count, now + back_off(count))

    def postponed(self, item: Instance | Operation, at: datetime) -> datetime:
        """Return the instant of the entry of an item, which says ``at``."""
        stored, _, later = self.by_sid.get(item.sid, (None, 0, at))
        return later if stored is item else at


@dataclass(slots=True)
class MemoryInstances:
    """An ``InstanceStore``."""

    instances: dict[InstanceSid, Instance] = field(default_factory=dict)
    journal: dict[tuple[InstanceSid, int, int, int], JournalEntry] = field(default_factory=dict)
    records: dict[tuple[InstanceSid, int], EventRecord] = field(default_factory=dict)
    answers: dict[tuple[InstanceSid, int, str], Answer] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)
    postponements: Postponements = field(default_factory=Postponements)
    reserved: dict[tuple[StrategySid, str | None], InstanceSid] = field(default_factory=dict)

    def load(self, sid: InstanceSid) -> Instance | None:
        return self.instances.get(sid)

    def create(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
        reservation: Reservation | None = None,
    ) -> None:
        if instance.sid in self.instances:
            raise StaleRevError
        if reservation is not None:
            key = (instance.strategy_sid, instance.origin.reference)
            holder = self.reserved.get(key)
            if holder is not None and holder != reservation.instead_of:
                raise ReservedError(holder)
            self.reserved[key] = instance.sid
        self._store(instance, records)
        self.audit += [] if audit is None else [audit]

    def commit(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
        reopened: EventRecord | None = None,
    ) -> None:
        stored = self.instances.get(instance.sid)
        if stored is None or stored.rev != instance.rev - 1:
            raise StaleRevError
        if reopened is not None:
            record = self.records.get((instance.sid, reopened.event.seq))
            if record is None or record.fence != reopened.fence:
                raise StaleRevError
            del self.records[instance.sid, reopened.event.seq]
            if reopened.last is not None:
                self.append(instance, reopened.last)
        self._store(instance, records)
        if audit is not None:
            self.audit.append(audit)

    def append(self, instance: Instance, entry: JournalEntry) -> None:
        key = (instance.sid, entry.seq, entry.run, entry.intent.visit)
        stored = self.journal.get(key)
        # An entry of a runner that lost its claim must not replace a later one.
        if stored is None or stored.fence <= entry.fence:
            self.journal[key] = entry

    def put_answer(self, instance: Instance, seq: int, answer: Answer) -> None:
        self.answers[(instance.sid, seq, answer.key)] = answer

    def put_record(self, instance: Instance, record: EventRecord) -> None:
        key = (instance.sid, record.event.seq)
        stored = self.records.get(key)
        if stored is None or stored.fence <= record.fence:
            self.records[key] = record

    def event_history(self, sid: InstanceSid, seq: int) -> EventHistory:
        keys = sorted(key for key in self.journal if key[:2] == (sid, seq))
        answers = sorted(key for key in self.answers if key[:2] == (sid, seq))
        return EventHistory(
            entries=tuple(self.journal[key] for key in keys),
            record=self.records.get((sid, seq)),
            answers=tuple(self.answers[key] for key in answers),
        )

    def records_before(
        self, sid: InstanceSid, seq: int, *, limit: int
    ) -> list[EventRecord | Unreadable[int]]:
        seqs = sorted(
            (number for owner, number in self.records if owner == sid and number < seq), reverse=True
        )
        return [self.records[sid, number] for number in seqs[:limit]]

    def journal_between(
        self, sid: InstanceSid, first: int, last: int
    ) -> list[JournalEntry | Unreadable[int]]:
        keys = sorted(key for key in self.journal if key[0] == sid and first <= key[1] <= last)
        return [self.journal[key] for key in keys]

    def records_of_month(
        self, account: AccountId, month: date, *, since: datetime, until: datetime, limit: int
    ) -> Iterator[EventRecord | Unreadable[str]]:
        found = [
            record
            for record in self.records.values()
            if self.instances[record.instance_sid].account_id == account
            and (record.finished_at.year, record.finished_at.month) == (month.year, month.month)
            and since <= record.finished_at < until
        ]
        return iter(sorted(found, key=_closed, reverse=True)[:limit])

    def due(self, partition: str, *, until: datetime, limit: int) -> list[DueEntry[InstanceSid]]:
        entries = sorted((at, sid) for at, sid in self.sweep_entries(partition) if at <= until)
        return [DueEntry(sid=sid, partition=partition, at=at) for at, sid in entries[:limit]]

    def postpone(self, entry: DueEntry[InstanceSid], *, now: datetime) -> bool:
        instance = self.instances.get(entry.sid)
        if instance is None or partition(instance) != entry.partition or self.entry_at(instance) != entry.at:
            return False
        self.postponements.postpone(instance, now=now)
        return True

    def sweep_entries(self, of_partition: str) -> list[tuple[datetime, InstanceSid]]:
        """Return all entries of a partition of the due index, with their instants."""
        return [
            (at, instance.sid)
            for instance in self.instances.values()
            if partition(instance) == of_partition and (at := self.entry_at(instance)) is not None
        ]

    def entry_at(self, instance: Instance) -> datetime | None:
        """Return the instant of the instance's entry in the due index, or None if it has none."""
        at = sweep_at(instance)
        return None if at is None else self.postponements.postponed(instance, at)

    def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
        return [self.instances[sid] for sid in sids if sid in self.instances]

    def of_strategy(
        self,
        strategy: StrategySid,
        statuses: Sequence[InstanceStatus | Phase],
        *,
        before: PageKey | None,
        limit: int,
        since: datetime | None = None,
    ) -> list[PageKey]:
        found = self._of_strategy(strategy, statuses)
        return _youngest([_page_key(i) for i in found], before, limit, since)

    def oldest_of_strategy(
        self,
        strategy: StrategySid,
        statuses: Sequence[InstanceStatus | Phase],
        *,
        after: PageKey | None,
        until: datetime,
        limit: int,
    ) -> list[PageKey]:
        found = self._of_strategy(strategy, statuses)
        places = sorted(_page_key(i) for i in found if i.created_at <= until)
        return [place for place in places if after is None or place > after][:limit]

    def of_account(
        self,
        account: AccountId,
        *,
        before: PageKey | None,
        limit: int,
        since: datetime | None = None,
    ) -> list[PageKey]:
        found = [_page_key(i) for i in self._owned(account)]
        return _youngest(found, before, limit, since)

    def with_reference(
        self, account: AccountId, reference: str, *, before: PageKey | None, limit: int
    ) -> list[PageKey]:
        found = [_page_key(i) for i in self._owned(account) if i.origin.reference == reference]
        return _youngest(found, before, limit)

    def with_attribute(
        self, account: AccountId, name: str, text: str, *, before: PageKey | None, limit: int
    ) -> list[PageKey]:
        found = [_page_key(i) for i in self._owned(account) if (name, text) in searched_attributes(i)]
        return _youngest(found, before, limit)

    def in_phases(
        self, account: AccountId, ranges: Sequence[PhaseRange], *, window: PhaseWindow, limit: int
    ) -> list[PhaseEntry]:
        found: list[PhaseEntry] = []
        for instance in self._owned(account):
            phase, reason = stored_phase(instance), reason_of(instance)
            if phase is None or reason is None:
                continue
            order = phase_order(reason, instance.strategy_sid, _page_key(instance))
            if any(
                phase_range.phase is phase and order.startswith(prefix_of(phase_range))
                for phase_range in ranges
            ):
                found.append(PhaseEntry(order=order, sid=instance.sid))
        entries = sorted(found, reverse=not window.is_ascending)
        after = window.after
        if after is not None:
            entries = [e for e in entries if (e.order > after if window.is_ascending else e.order < after)]
        return entries[:limit]

    def with_problems(self, account: AccountId, *, before: PageKey | None, limit: int) -> list[PageKey]:
        found = [
            PageKey(created_at=since, sid=instance.sid)
            for instance in self._owned(account)
            if (since := problem_at(instance)) is not None
        ]
        return _youngest(found, before, limit)

    def count_in_phase(self, account: AccountId, phase: Phase, *, most: int) -> int:
        return min(
            sum(stored_phase(i) is phase and reason_of(i) is not None for i in self._owned(account)), most
        )

    def count_of_strategy(self, strategy: StrategySid, status: InstanceStatus | Phase, *, most: int) -> int:
        return min(len(self._of_strategy(strategy, [status])), most)

    def count_with_problems(self, account: AccountId, *, most: int) -> int:
        return min(sum(problem_at(i) is not None for i in self._owned(account)), most)

    def count_closed(
        self, account: AccountId, month: date, *, since: datetime, until: datetime, most: int
    ) -> Mapping[EventStatus, int]:
        found = self.records_of_month(account, month, since=since, until=until, limit=most)
        return Counter(record.event.status for record in all_readable(found))

    def _of_strategy(
        self, strategy: StrategySid, statuses: Sequence[InstanceStatus | Phase]
    ) -> list[Instance]:
        labels = {label for status in statuses for label in list_labels(status)}
        return [i for i in self.instances.values() if i.strategy_sid == strategy and list_label(i) in labels]

    def _owned(self, account: AccountId) -> list[Instance]:
        return [instance for instance in self.instances.values() if instance.account_id == account]

    def _store(self, instance: Instance, records: Sequence[EventRecord]) -> None:
        self.instances[instance.sid] = instance
        for record in records:
            self.put_record(instance, record)


@dataclass(slots=True)
class MemoryOperations:
    """An ``OperationStore``."""

    release_jobs: dict[OperationSid, ReleaseJob] = field(default_factory=dict)
    bulks: dict[OperationSid, BulkOperation] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)
    postponements: Postponements = field(default_factory=Postponements)

    def load(self, sid: OperationSid) -> Operation | None:
        return self.bulks.get(sid) or self.release_jobs.get(sid)

    def create(self, bulk: BulkOperation, *, audit: AuditEntry) -> None:
        if bulk.sid in self.bulks:
            raise StaleRevError
        self.bulks[bulk.sid] = bulk
        self.audit.append(audit)

    def commit(self, operation: Operation, *, audit: AuditEntry | None = None) -> None:
        self._check(operation.sid, operation.rev - 1)
        match operation:
            case ReleaseJob():
                self.release_jobs[operation.sid] = operation
            case BulkOperation():
                self.bulks[operation.sid] = operation
        self.audit += [] if audit is None else [audit]

    def remove(self, release_job: ReleaseJob) -> None:
        self._check(release_job.sid, release_job.rev)
        del self.release_jobs[release_job.sid]

    def due(self, *, until: datetime, limit: int) -> list[DueEntry[OperationSid]]:
        entries = sorted((at, sid) for at, sid in self.sweep_entries() if at <= until)
        return [DueEntry(sid=sid, partition=OPERATIONS, at=at) for at, sid in entries[:limit]]

    def postpone(self, entry: DueEntry[OperationSid], *, now: datetime) -> bool:
        stored = self.load(entry.sid)
        if stored is None or (entry.at, entry.sid) not in self.sweep_entries():
            return False
        self.postponements.postpone(stored, now=now)
        return True

    def sweep_entries(self) -> list[tuple[datetime, OperationSid]]:
        """Return all entries of the due index, with their instants."""
        stored: list[Operation] = [*self.release_jobs.values(), *self.bulks.values()]
        return [
            (self.postponements.postponed(operation, at), operation.sid)
            for operation in stored
            if (at := operation.sweep_at) is not None
        ]

    def of_account(
        self, account: AccountId, *, before: PageKey | None, limit: int
    ) -> list[BulkOperation | Unreadable[PageKey]]:
        own = {
            PageKey(created_at=bulk.started_at, sid=bulk.sid): bulk
            for bulk in self.bulks.values()
            if bulk.account_id == account
        }
        return [own[place] for place in _youngest(list(own), before, limit)]

    def _check(self, sid: OperationSid, rev: int) -> None:
        stored = self.load(sid)
        if stored is None or stored.rev != rev:
            raise StaleRevError


@dataclass(slots=True)
class MemoryAccess:
    """An ``AccessStore``.

    ``paused_queues`` are the accounts whose due events are blocked. ``operations`` receives the release jobs.
    """

    all_keys: dict[str, AccessKey] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    paused_queues: set[AccountId] = field(default_factory=set)
    queue_pauses: dict[AccountId, tuple[FlagPause, ...]] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)
    operations: MemoryOperations = field(default_factory=MemoryOperations)

    def key(self, key_id: str) -> AccessKey | None:
        return self.all_keys.get(key_id)

    def put_key(self, key: AccessKey, *, audit: AuditEntry | None = None) -> None:
        self.all_keys[key.key_id] = key
        self.audit += [] if audit is None else [audit]

    def remove_key(self, key: AccessKey, *, audit: AuditEntry) -> None:
        self.all_keys.pop(key.key_id, None)
        self.audit.append(audit)

    def keys(
        self, account: AccountId, *, before: PageKey | None, limit: int
    ) -> list[AccessKey | Unreadable[PageKey]]:
        own = {
            PageKey(created_at=key.created_at, sid=key.key_id): key
            for key in self.all_keys.values()
            if key.account_id == account
        }
        return [own[place] for place in _youngest(list(own), before, limit)]

    def session(self, token_hash: str) -> Session | None:
        return self.sessions.get(token_hash)

    def open_session(self, session: Session) -> None:
        self.sessions[session.token_hash] = session

    def extend_session(self, session: Session) -> None:
        if session.token_hash in self.sessions:
            self.sessions[session.token_hash] = session

    def close_session(self, token_hash: str) -> None:
        self.sessions.pop(token_hash, None)

    def queue_flag(self, account: AccountId) -> Flag:
        return Flag(is_paused=account in self.paused_queues, pauses=self.queue_pauses.get(account, ()))

    def set_queue_flag(
        self,
        account: AccountId,
        flag: Flag,
        *,
        audit: AuditEntry | None = None,
        release_jobs: Sequence[ReleaseJob] = (),
    ) -> None:
        (self.paused_queues.add if flag.is_paused else self.paused_queues.discard)(account)
        self.queue_pauses[account] = flag.pauses
        self.audit += [] if audit is None else [audit]
        self.operations.release_jobs |= {release_job.sid: release_job for release_job in release_jobs}


@dataclass(slots=True, kw_only=True)
class MemoryAudit:
    """An ``AuditStore`` over the lists in which the other stores keep their entries."""

    lists: Sequence[list[AuditEntry]]
    kept: timedelta | None = None

    def of_day(
        self, account: AccountId, day: date, *, since: datetime, before: AuditPosition, limit: int
    ) -> list[tuple[AuditPosition, AuditEntry | Unreadable[AuditPosition]]]:
        return self._latest(account, lambda entry: entry.at.date() == day, since, before)[:limit]

    def of_target(
        self, account: AccountId, target: str, *, since: datetime, before: AuditPosition, limit: int
    ) -> list[tuple[AuditPosition, AuditEntry | Unreadable[AuditPosition]]]:
        return self._latest(account, lambda entry: entry.target == target, since, before)[:limit]

    def of_operation(
        self,
        account: AccountId,
        operation: OperationSid,
        *,
        since: datetime,
        before: AuditPosition,
        limit: int,
    ) -> list[tuple[AuditPosition, AuditEntry | Unreadable[AuditPosition]]]:
        return self._latest(account, lambda entry: entry.operation == operation, since, before)[:limit]

    def _latest(
        self,
        account: AccountId,
        fits: Callable[[AuditEntry], bool],
        since: datetime,
        before: AuditPosition,
    ) -> list[tuple[AuditPosition, AuditEntry | Unreadable[AuditPosition]]]:
        found: list[tuple[AuditPosition, AuditEntry | Unreadable[AuditPosition]]] = [
            (AuditPosition(at=entry.at, key=f"{entry.target}#{number:09}"), entry)
            for entries in self.lists
            for number, entry in enumerate(entries)
            if entry.account_id == account and since <= entry.at and fits(entry)
        ]
        return sorted((item for item in found if item[0] < before), key=lambda item: item[0], reverse=True)


@dataclass(slots=True)
class MemoryStrategies:
    """A ``StrategyStore``.

    ``access`` holds the queue flags. ``paused_strategies`` are strategies whose due events are blocked.
    """

    environment: str = "dev"
    access: MemoryAccess = field(default_factory=MemoryAccess)
    heads: dict[StrategySid, StrategyHead] = field(default_factory=dict)
    saved: dict[tuple[StrategySid, int], SavedSettings] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)
    strategies: dict[tuple[StrategySid, int], Strategy] = field(default_factory=dict)
    paused_strategies: set[StrategySid] = field(default_factory=set)

    @property
    def paused_queues(self) -> set[AccountId]:
        """The accounts whose due events are blocked."""
        return self.access.paused_queues

    def add(self, strategy: Strategy) -> None:
        """Keep one version of a strategy."""
        self.strategies[strategy.sid, strategy.version] = strategy

    def create(self, head: StrategyHead, settings: Mapping[str, Json], *, source: Json = None) -> None:
        taken = self.named(head.account_id, head.name)
        if taken is not None and taken.sid != head.sid:
            raise NameTakenError
        stored = self.heads.setdefault(head.sid, head)
        if stored != head:
            raise StaleRevError
        self._save(head, settings, source, by=head.created_by)

    def replace(
        self,
        head: StrategyHead,
        settings: Mapping[str, Json],
        *,
        before: StrategyHead,
        audit: AuditEntry,
        source: Json = None,
    ) -> None:
        self._exchange(head, before, audit)
        self._save(head, settings, source, by=audit.by)

    def relabel(self, head: StrategyHead, *, before: StrategyHead, audit: AuditEntry) -> None:
        self._exchange(head, before, audit)

    def delete(self, head: StrategyHead, *, before: StrategyHead, audit: AuditEntry) -> None:
        self._exchange(head, before, audit)

    def set_paused(
        self,
        head: StrategyHead,
        *,
        before: StrategyHead,
        audit: AuditEntry,
        release_jobs: Sequence[ReleaseJob] = (),
    ) -> None:
        self._exchange(head, before, audit)
        self.access.operations.release_jobs |= {release_job.sid: release_job for release_job in release_jobs}

    def settings(self, sid: StrategySid, version: int) -> SavedSettings:
        try:
            return self.saved[sid, version]
        except KeyError:
            raise UnknownStrategyError(f"{sid} version {version}") from None

    def versions(
        self, sid: StrategySid, *, before: int | None, limit: int
    ) -> list[StrategyVersion | Unreadable[int]]:
        known = sorted((number for owner, number in self.saved if owner == sid), reverse=True)
        older = [number for number in known if before is None or number < before]
        return [self.saved[sid, number].version for number in older[:limit]]

    def of_account(
        self, account: AccountId, *, before: PageKey | None, limit: int
    ) -> list[StrategyHead | Unreadable[PageKey]]:
        own = {
            PageKey(created_at=head.created_at, sid=head.sid): head
            for head in self.heads.values()
            if head.account_id == account and head.deleted_at is None
        }
        return [own[place] for place in _youngest(list(own), before, limit)]

    def in_folder(self, account: AccountId, folder: str, *, after: str, limit: int) -> list[FolderEntry]:
        folder_entries = [
            FolderEntry(sid=head.sid, folder_name=f"{head.folder}#{head.name}")
            for head in self.heads.values()
            if head.account_id == account and head.deleted_at is None and _is_in(head.folder, folder)
        ]
        behind = [entry for entry in folder_entries if entry.folder_name > after]
        return sorted(behind, key=lambda entry: entry.folder_name)[:limit]

    def _exchange(self, head: StrategyHead, before: StrategyHead, audit: AuditEntry) -> None:
        if self.heads.get(head.sid) != before:
            raise StaleRevError
        self.heads[head.sid] = head
        self.audit.append(audit)

    def _save(
        self, head: StrategyHead, settings: Mapping[str, Json], source: Json, *, by: str | None
    ) -> None:
        version = StrategyVersion(
            sid=head.sid,
            version=head.version,
            description=head.description,
            created_at=head.updated_at,
            created_by=by,
        )
        sealed = SealedSettings(iv="aXY=", hash="aGFzaA==", encrypted_text="dGV4dA==")
        self.saved[head.sid, head.version] = SavedSettings(
            version=version, plain=settings, sealed=sealed, source=source
        )
        self.add(
            Strategy(
                sid=head.sid,
                account_id=head.account_id,
                name=head.name,
                version=head.version,
                definition=stored_definition(settings),
                environment=self.environment,
            )
        )

    def head(self, sid: StrategySid) -> StrategyHead | None:
        return self.heads.get(sid)

    def named(self, account: AccountId, name: str) -> StrategyHead | None:
        living = (head for head in self.heads.values() if head.deleted_at is None)
        return next((head for head in living if (head.account_id, head.name) == (account, name)), None)

    def load(self, sid: StrategySid, version: int) -> Strategy:
        try:
            return self.strategies[sid, version]
        except KeyError:
            raise UnknownStrategyError(f"{sid} version {version}") from None

    def flags(self, account: AccountId, strategy: StrategySid) -> Flags:
        head = self.heads.get(strategy)
        flag = Flag() if head is None else head.flag
        if strategy in self.paused_strategies:
            flag = replace(flag, is_paused=True)
        return Flags(queue=self.access.queue_flag(account), strategy=flag)


@dataclass(slots=True)
class MemoryWebhooks:
    """A ``WebhookStore``."""

    webhooks: dict[AccountId, tuple[Webhook, str]] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)

    def find(self, account: AccountId) -> Webhook | None:
        found = self.webhooks.get(account)
        return None if found is None else found[0]

    def find_with_secret(self, account: AccountId) -> tuple[Webhook, str] | None:
        return self.webhooks.get(account)

    def put(self, webhook: Webhook, *, secret: str | None, audit: AuditEntry) -> None:
        if secret is None:
            if webhook.account_id not in self.webhooks:
                raise StaleRevError
            secret = self.webhooks[webhook.account_id][1]
        self.webhooks[webhook.account_id] = (webhook, secret)
        self.audit.append(audit)

    def remove(self, account: AccountId, *, audit: AuditEntry) -> None:
        self.webhooks.pop(account, None)
        self.audit.append(audit)


def _closed(record: EventRecord) -> tuple[datetime, InstanceSid, int]:
    return record.finished_at, record.instance_sid, record.event.seq


def _page_key(instance: Instance) -> PageKey:
    return PageKey(created_at=instance.created_at, sid=instance.sid)


def _is_in(folder: str, above: str) -> bool:
    return folder == above or folder.startswith(above if above == "/" else f"{above}/")


def _youngest(
    places: Sequence[PageKey], before: PageKey | None, limit: int, since: datetime | None = None
) -> list[PageKey]:
    found = [place for place in places if before is None or place < before]
    return sorted((p for p in found if since is None or p.created_at >= since), reverse=True)[:limit]
