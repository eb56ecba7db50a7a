"""Work on many instances, carried on piece by piece until it is done.

A drain frees what a paused queue or strategy blocked, once it is resumed: one for each partition of blocked
instances, so that they go on side by side. Source: design section 3, item 3, and section 8.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.ids import AccountId, OperationSid
from shared.domain.instance.due import SHARDS, blocked_partition
from shared.domain.instance.model import BlockedBy
from shared.domain.instance.verdict import Actor

FREED_PER_SECOND = 400
"""How many instances are freed a second, by all drains of a flag together."""

PAUSE_BETWEEN_LOOKS = timedelta(minutes=1)
"""How long a drain that found nothing waits before it looks again."""

QUIET = timedelta(minutes=10)
"""How long a partition must stay empty to be drained: by then every runner has seen the flag cleared."""

IN_HAND = timedelta(minutes=2)
"""A drain taken in hand is left alone for so long; whoever works on it says so again in time."""

SAY_SO = timedelta(minutes=1)
"""How long after that whoever works on it says so again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseJob:
    """The freeing of one partition of blocked instances.

    owner: the account whose queue, or the strategy, that blocked them. sweep_at: when it is to go on.
    freed: how many so far. empty_since: since when its partition has been found empty.
    rev: rises with each stored change; a drain started anew begins above any rev of the one before.
    """

    sid: OperationSid
    account_id: AccountId
    blocked_by: BlockedBy
    owner: str
    shard: int
    started_at: datetime
    started_by: str
    sweep_at: datetime
    rev: int
    freed: int = 0
    empty_since: datetime | None = None

    @property
    def partition(self) -> str:
        """The partition of the due index it frees."""
        return blocked_partition(self.blocked_by, self.owner, self.shard)


def release_jobs(
    account: AccountId, flag: BlockedBy, owner: str, *, by: Actor, now: datetime
) -> tuple[ReleaseJob, ...]:
    """The drains of a flag that has been cleared, due at once. Their sids are the flag's own."""
    return tuple(
        ReleaseJob(
            sid=OperationSid(f"release-{flag.value}-{owner}-{shard}"),
            account_id=account,
            blocked_by=flag,
            owner=owner,
            shard=shard,
            started_at=now,
            started_by=by.name,
            sweep_at=now,
            rev=round(now.timestamp() * 1000),
        )
        for shard in range(SHARDS)
    )


def taken_in_hand(release_job: ReleaseJob, *, now: datetime) -> ReleaseJob:
    """The drain while an invocation works on it."""
    return replace(release_job, sweep_at=now + IN_HAND, rev=release_job.rev + 1)


def after_batch(release_job: ReleaseJob, *, freed: int, is_empty: bool, now: datetime) -> ReleaseJob | None:
    """The drain after an invocation has freed so many; None where it is done.

    is_empty: nothing was left to free; else the invocation ran out of time and the next goes on at once.
    """
    after = replace(release_job, freed=release_job.freed + freed, rev=release_job.rev + 1)
    if not is_empty:
        return replace(after, empty_since=None, sweep_at=now)
    since = now if freed or release_job.empty_since is None else release_job.empty_since
    if now - since >= QUIET:
        return None
    return replace(after, empty_since=since, sweep_at=now + PAUSE_BETWEEN_LOOKS)
