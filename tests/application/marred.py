"""A store of which some events cannot be read."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dev.memory.stores import MemoryInstances
from shared.application.ports import Unreadable
from shared.domain.errors import StoredShapeError
from shared.domain.ids import InstanceSid
from shared.domain.instance.journal import EventHistory, EventRecord

WHY = "schema 99"


@dataclass(slots=True)
class MarredEvents(MemoryInstances):
    """A store that cannot read the records of some events and the journals of others, of any instance."""

    records_of: set[int] = field(default_factory=set)
    journals_of: set[int] = field(default_factory=set)

    def mar(self, *, records_of: Iterable[int] = (), journals_of: Iterable[int] = ()) -> None:
        self.records_of, self.journals_of = set(records_of), set(journals_of)

    def records_before(
        self, sid: InstanceSid, seq: int, *, limit: int
    ) -> list[EventRecord | Unreadable[int]]:
        found = MemoryInstances.records_before(self, sid, seq, limit=limit)
        return [
            Unreadable(key=one.event.seq, why=WHY)
            if isinstance(one, EventRecord) and one.event.seq in self.records_of
            else one
            for one in found
        ]

    def event_history(self, sid: InstanceSid, seq: int) -> EventHistory:
        if seq in self.records_of | self.journals_of:
            raise StoredShapeError(WHY)
        return MemoryInstances.event_history(self, sid, seq)
