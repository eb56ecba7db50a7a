"""Stores in memory, with the same promises as the real ones.

Source: shared/application/ports.py; tests/contract.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.application.ports import NameTakenError, StaleRevError, UnknownStrategyError
from shared.domain.access import AccessKey
from shared.domain.attention import attention_at, partition
from shared.domain.decision import AuditEntry
from shared.domain.definition import stored_definition
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance import HeldBy, Instance
from shared.domain.journal import EventRecord, JournalEntry, Trail
from shared.domain.strategy import Json, Strategy, StrategyHead


@dataclass(slots=True)
class MemoryInstances:
    """An ``InstanceStore``. writes: how many writes were asked of it."""

    instances: dict[InstanceSid, Instance] = field(default_factory=dict)
    journal: dict[tuple[InstanceSid, int, int, int], JournalEntry] = field(default_factory=dict)
    records: dict[tuple[InstanceSid, int], EventRecord] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)

    def load(self, sid: InstanceSid) -> Instance | None:
        return self.instances.get(sid)

    def create(self, instance: Instance, *, records: Sequence[EventRecord] = ()) -> None:
        if instance.sid in self.instances:
            raise StaleRevError
        self._store(instance, records)

    def commit(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
    ) -> None:
        stored = self.instances.get(instance.sid)
        if stored is None or stored.rev != instance.rev - 1:
            raise StaleRevError
        self._store(instance, records)
        if audit is not None:
            self.audit.append(audit)

    def append(self, instance: Instance, entry: JournalEntry) -> None:
        key = (instance.sid, entry.seq, entry.run, entry.intent.visit)
        stored = self.journal.get(key)
        if stored is None or stored.fence <= entry.fence:
            self.journal[key] = entry

    def put_record(self, instance: Instance, record: EventRecord) -> None:
        key = (instance.sid, record.event.seq)
        stored = self.records.get(key)
        if stored is None or stored.fence <= record.fence:
            self.records[key] = record

    def trail(self, sid: InstanceSid, seq: int) -> Trail:
        keys = sorted(key for key in self.journal if key[:2] == (sid, seq))
        return Trail(entries=tuple(self.journal[key] for key in keys), record=self.records.get((sid, seq)))

    def attention(self, partition: str, *, until: datetime, limit: int) -> list[InstanceSid]:
        entries = [(at, sid) for at, sid in self.attention_entries(partition) if at <= until]
        return [sid for _, sid in sorted(entries)[:limit]]

    def attention_entries(self, of_partition: str) -> list[tuple[datetime, InstanceSid]]:
        """All entries of a partition, with their instants."""
        return [
            (at, instance.sid)
            for instance in self.instances.values()
            if partition(instance) == of_partition and (at := attention_at(instance)) is not None
        ]

    def _store(self, instance: Instance, records: Sequence[EventRecord]) -> None:
        self.instances[instance.sid] = instance
        for record in records:
            self.put_record(instance, record)


@dataclass(slots=True)
class MemoryAccess:
    """An ``AccessStore``. paused_queues: the accounts whose due events wait."""

    keys: dict[str, AccessKey] = field(default_factory=dict)
    paused_queues: set[AccountId] = field(default_factory=set)

    def key(self, key_id: str) -> AccessKey | None:
        return self.keys.get(key_id)

    def put_key(self, key: AccessKey) -> None:
        self.keys[key.key_id] = key

    def set_queue_paused(self, account: AccountId, *, paused: bool) -> None:
        (self.paused_queues.add if paused else self.paused_queues.discard)(account)


@dataclass(slots=True)
class MemoryStrategies:
    """A ``StrategyStore``. access: where queue flags are. paused_strategies: those that hold their events."""

    environment: str = "dev"
    access: MemoryAccess = field(default_factory=MemoryAccess)
    heads: dict[StrategySid, StrategyHead] = field(default_factory=dict)
    strategies: dict[tuple[StrategySid, int], Strategy] = field(default_factory=dict)
    paused_strategies: set[StrategySid] = field(default_factory=set)

    @property
    def paused_queues(self) -> set[AccountId]:
        """The accounts whose due events wait."""
        return self.access.paused_queues

    def add(self, strategy: Strategy) -> None:
        """Keep one version of a strategy."""
        self.strategies[strategy.sid, strategy.version] = strategy

    def create(self, head: StrategyHead, settings: Mapping[str, Json]) -> None:
        taken = self.named(head.account_id, head.name, folder=head.folder)
        if taken is not None and taken.sid != head.sid:
            raise NameTakenError
        stored = self.heads.setdefault(head.sid, head)
        if stored != head:
            raise StaleRevError
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

    def named(self, account: AccountId, name: str, *, folder: str = "/") -> StrategyHead | None:
        wanted = (account, folder, name)
        return next((h for h in self.heads.values() if (h.account_id, h.folder, h.name) == wanted), None)

    def load(self, sid: StrategySid, version: int) -> Strategy:
        try:
            return self.strategies[sid, version]
        except KeyError:
            raise UnknownStrategyError(f"{sid} version {version}") from None

    def held_by(self, account: AccountId, strategy: StrategySid) -> HeldBy | None:
        if account in self.access.paused_queues:
            return HeldBy.QUEUE
        head = self.heads.get(strategy)
        paused = strategy in self.paused_strategies or (head is not None and head.is_paused)
        return HeldBy.STRATEGY if paused else None
