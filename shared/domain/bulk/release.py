"""Release jobs: they unblock the instances of a paused queue or strategy after it is resumed.

Each partition of blocked instances has its own job, so that the partitions are released in parallel.
Source: docs/design.md section 3.3, and section 8.
"""

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.ids import AccountId, OperationSid
from shared.domain.instance.due import SHARDS, blocked_partition
from shared.domain.instance.model import BlockedBy
from shared.domain.instance.verdict import Actor

PAUSE_BETWEEN_LOOKS = timedelta(minutes=1)
"""How long a job waits before it checks an empty partition again."""

QUIET = timedelta(minutes=10)
"""How long a partition must stay empty before its job ends: by then every runner has seen the cleared flag."""

MAX_PAUSE = timedelta(hours=1)
"""How long a job waits at most before it tries instances again that it could not release."""

IN_HAND = timedelta(minutes=2)
"""How long a worker owns a job. It renews this while it works."""

SAY_SO = timedelta(minutes=1)
"""How long after the last renewal a worker renews its ownership."""


class ReleaseJob(Struct, frozen=True, kw_only=True):
    """The release of one partition of blocked instances.

    ``owner`` is the account (queue) or the strategy that blocked them. ``sweep_at`` is when the job must continue.
    ``freed`` counts the instances released so far. ``empty_since`` is since when nothing has been left to try.
    ``rev`` rises with each saved change.
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
        """Return the partition of the due index that the job releases."""
        return blocked_partition(self.blocked_by, self.owner, self.shard)


def release_jobs(
    account: AccountId, flag: BlockedBy, owner: str, *, by: Actor, now: datetime
) -> tuple[ReleaseJob, ...]:
    """Return the release jobs of a cleared flag, due at once. Their sids are derived from the flag."""
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
            # A restarted job must begin above any ``rev`` of the job before it, whose late writes must fail.
            rev=round(now.timestamp() * 1000),
        )
        for shard in range(SHARDS)
    )


def own_job(release_job: ReleaseJob, *, now: datetime) -> ReleaseJob:
    """Return the job owned by the current invocation."""
    return replace(release_job, sweep_at=now + IN_HAND, rev=release_job.rev + 1)


def after_batch(
    release_job: ReleaseJob, *, freed: int, is_empty: bool, left_at: datetime | None, now: datetime
) -> ReleaseJob | None:
    """Return the job after an invocation has released ``freed`` instances, or None if it is done.

    ``is_empty`` means that nothing was left to try. Then ``left_at`` is when the first of the instances that could not
    be released is due again, None without any. Otherwise the invocation ran out of time, and the next continues at
    once.
    """
    after = replace(release_job, freed=release_job.freed + freed, rev=release_job.rev + 1)
    if not is_empty:
        return replace(after, empty_since=None, sweep_at=now)
    since = now if freed or release_job.empty_since is None else release_job.empty_since
    pause = PAUSE_BETWEEN_LOOKS
    # A runner that read the flag before it was cleared may still block its instance.
    if now - since >= QUIET:
        if left_at is None:
            return None
        # Nothing else would release them once they can be read again.
        pause = min(max(left_at - now, PAUSE_BETWEEN_LOOKS), MAX_PAUSE)
    return replace(after, empty_since=since, sweep_at=now + pause)
