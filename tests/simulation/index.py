"""Due indexes: an exact index, and an index that lags behind its store, as a global secondary index does."""

import random
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.simulation.stage import NEVER


@dataclass(slots=True)
class ExactIndex:
    """The entries of a due index as they are. ``swept`` are the partitions that the sweeper reads."""

    swept: Collection[str]
    partition_of: dict[str, str] = field(default_factory=dict)
    partitions: dict[str, dict[str, datetime]] = field(default_factory=dict)
    swept_at: dict[str, datetime] = field(default_factory=dict)
    # This is asked for at every instant, so it is computed when an entry changes.
    first_swept: datetime | None = None

    def change(self, sid: str, partition: str, at: datetime | None) -> None:
        """Replace the entry of an item; ``at`` is None if it has none now."""
        before = self.partition_of.pop(sid, None)
        if before is not None:
            del self.partitions[before][sid]
        self.swept_at.pop(sid, None)
        if at is not None:
            self.partition_of[sid] = partition
            self.partitions.setdefault(partition, {})[sid] = at
            if partition in self.swept:
                self.swept_at[sid] = at
        self.first_swept = min(self.swept_at.values(), default=None)

    def due(self, partition: str, *, until: datetime, limit: int) -> list[tuple[datetime, str]]:
        """Return the first entries of a partition that are due."""
        entries = self.partitions.get(partition, {}).items()
        return sorted([(at, sid) for sid, at in entries if at <= until])[:limit]


@dataclass(slots=True)
class Shown:
    """An entry of the index, and from when until when queries return it."""

    sid: str
    partition: str
    at: datetime
    shown_from: datetime
    hidden_from: datetime = NEVER


@dataclass(slots=True)
class LaggingIndex:
    """The entries as queries return them.

    When an item changes, its old entry disappears and its new one appears, each up to ``max_lag`` later. So for a
    while queries may return both, or neither.
    """

    rng: random.Random
    max_lag: timedelta
    entries: list[Shown] = field(default_factory=list)

    def change(self, sid: str, partition: str, at: datetime | None, *, now: datetime) -> None:
        """Replace the entry of an item; ``at`` is None if it has none now."""
        self.entries = [entry for entry in self.entries if entry.hidden_from > now]
        for entry in self.entries:
            if entry.sid == sid and entry.hidden_from == NEVER:
                entry.hidden_from = max(entry.shown_from, now + self._lag())
        if at is not None:
            shown = Shown(sid=sid, partition=partition, at=at, shown_from=now + self._lag())
            self.entries.append(shown)

    def due(
        self, partition: str, *, until: datetime, limit: int, now: datetime
    ) -> list[tuple[datetime, str]]:
        """Return the first entries of a partition that are due, as a query returns them now."""
        found = {
            (entry.at, entry.sid)
            for entry in self.entries
            if entry.partition == partition
            and entry.at <= until
            and entry.shown_from <= now < entry.hidden_from
        }
        return sorted(found)[:limit]

    def _lag(self) -> timedelta:
        # Most changes appear at once.
        if self.rng.random() < 0.5:
            return timedelta()
        return timedelta(milliseconds=round(self.rng.random() * self.max_lag.total_seconds() * 1000))
