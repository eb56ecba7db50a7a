"""The expiry of records in memory: the deletion by DynamoDB, and the store of the expirer.

Source: shared/application/expire.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from dev.memory.stores import MemoryInstances
from shared.adapters.dynamodb.attributes import Attributes
from shared.adapters.dynamodb.items import record_item, record_of
from shared.application.expire import ExpiredRecord, StoredEvent
from shared.application.ports import Clock, Unreadable
from shared.domain.ids import InstanceSid
from shared.domain.instance.retention import Retention, expiry


@dataclass(slots=True, kw_only=True)
class MemoryExpiry:
    """An ``ExpiryStore`` with its ports. ``put_back_until`` are the expiries of records that were put back."""

    instances: MemoryInstances
    clock: Clock
    retention: Retention = field(default_factory=lambda: Retention(records=timedelta(days=90)))
    unreadable: Mapping[InstanceSid, Callable[[], Exception]] = field(default_factory=dict)
    put_back_until: dict[tuple[InstanceSid, int], datetime | None] = field(default_factory=dict)
    deleted: int = 0

    @property
    def store(self) -> "MemoryExpiry":
        """The store of the expirer."""
        return self

    def delete_due(self) -> list[ExpiredRecord]:
        """Delete the records that have expired, as DynamoDB does, and return them as its stream delivers them."""
        expired: list[ExpiredRecord] = []
        now = self.clock.now()
        for (sid, seq), record in list(self.instances.records.items()):
            until = expiry(record.finished_at, self.retention.records)
            until = self.put_back_until.get((sid, seq), until)
            if until is None or until > now:
                continue
            self.deleted += 1
            item = record_item(self.instances.instances[sid], record, kept=self.retention.records)
            del self.instances.records[sid, seq]
            self.put_back_until.pop((sid, seq), None)
            expired.append(ExpiredRecord(position=str(self.deleted), sid=sid, seq=seq, item=item))
        return expired

    def stored_event(self, sid: InstanceSid, seq: int) -> StoredEvent:
        has_record = (sid, seq) in self.instances.records
        if sid in self.unreadable:
            why = str(self.unreadable[sid]())
            return StoredEvent(instance=Unreadable(key=sid, why=why), has_record=has_record)
        return StoredEvent(instance=self.instances.instances.get(sid), has_record=has_record)

    def put_back(self, expired: ExpiredRecord, *, until: datetime | None) -> None:
        key = (expired.sid, expired.seq)
        if key not in self.instances.records:
            self.instances.records[key] = record_of(cast("Attributes", expired.item))
            self.put_back_until[key] = until

    def delete_history(self, sid: InstanceSid, seq: int) -> int:
        entries = [key for key in self.instances.journal if key[:2] == (sid, seq)]
        answers = [key for key in self.instances.answers if key[:2] == (sid, seq)]
        for entry in entries:
            del self.instances.journal[entry]
        for answer in answers:
            del self.instances.answers[answer]
        return len(entries) + len(answers)
