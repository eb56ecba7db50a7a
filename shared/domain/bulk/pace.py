"""How fast a bulk operation or a release goes, and in which batches.

Source: docs/decisions/0068-a-batch-is-commanded-at-once.md.
"""

from msgspec import Struct
from msgspec.structs import replace

MAX_BATCH = 100
"""The most instances of a batch: as many as one read of DynamoDB returns."""

PER_SECOND = 400
"""The most instances that are commanded or released per second, unless the deployment says otherwise."""

MAX_PER_SECOND = 10_000
"""The largest limit that can be set."""


class Pace(Struct, frozen=True, kw_only=True):
    """At most ``per_second`` instances a second, 0 for no limit, in batches of at most ``max_batch``."""

    per_second: float = PER_SECOND
    max_batch: int = MAX_BATCH

    @property
    def batch_size(self) -> int:
        """Return how many instances a batch has: those of a second at most, and at least one.

        So a worker never pauses for longer than it owns the batch, and a slow pace is not a series of bursts.
        """
        if not self.per_second:
            return self.max_batch
        return max(1, min(self.max_batch, int(self.per_second)))

    def seconds(self, count: int) -> float:
        """Return how long so many instances must take at least."""
        return count / self.per_second if self.per_second else 0.0

    def shared_by(self, workers: int) -> "Pace":
        """Return the pace of each of so many workers that keep this pace together."""
        return replace(self, per_second=self.per_second / workers)
