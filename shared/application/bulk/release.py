"""Freeing what a resumed flag has held: a set pace, one partition a drain, safe to kill anywhere.

Source: design section 3, item 3.
"""

from collections.abc import Callable
from datetime import timedelta

from shared.application.bulk.progress import RESERVE, BatchProgress
from shared.application.commit import ContentionError, execute, schedule_wakeup
from shared.application.ports import Ports, StaleRevError, UnknownStrategyError
from shared.domain.bulk.release import FREED_PER_SECOND, SAY_SO, ReleaseJob, after_batch, own_job
from shared.domain.errors import RitornelloError
from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.due import GRACE, SHARDS
from shared.domain.instance.model import BlockedBy
from shared.domain.instance.verdict import Applied
from shared.domain.lifecycle.commands import Unblock

BATCH = 25
"""So many are freed between two looks at the clock."""

LAG_SECONDS = 1.0
"""How long an index may still show what has just been freed."""


def run_release_job(
    ports: Ports, release_job: ReleaseJob, *, time_left: Callable[[], timedelta]
) -> BatchProgress:
    """Take a drain in hand for as long as this invocation lasts. Safe at any time, any number of times.

    One that has lost its operation to another, because it was started anew, stops at its next write. An instance
    that cannot be freed stays held.
    """
    drained = BatchProgress()
    try:
        if _is_held(ports, release_job):
            ports.operations.remove(release_job)
            return drained
        release_job = _in_hand(ports, release_job)
        release_job, is_empty = _freed(ports, release_job, drained, time_left)
        after = after_batch(release_job, freed=drained.done, is_empty=is_empty, now=ports.clock.now())
        if after is None:
            ports.operations.remove(release_job)
        else:
            ports.operations.commit(after)
    except StaleRevError:
        return drained
    if not is_empty and drained.done:
        ports.wakeups.invoke_operation(release_job.sid)
    return drained


def _is_held(ports: Ports, release_job: ReleaseJob) -> bool:
    """Whether the flag was set again."""
    if release_job.blocked_by is BlockedBy.QUEUE:
        return ports.access.queue_paused(release_job.account_id)
    head = ports.strategies.head(StrategySid(release_job.owner))
    return head is not None and head.is_paused


def _in_hand(ports: Ports, release_job: ReleaseJob) -> ReleaseJob:
    """The drain, stored as worked on. Raises: StaleRevError: it was started anew, or somebody else has it."""
    taken = own_job(release_job, now=ports.clock.now())
    ports.operations.commit(taken)
    return taken


def _freed(
    ports: Ports, release_job: ReleaseJob, drained: BatchProgress, time_left: Callable[[], timedelta]
) -> tuple[ReleaseJob, bool]:
    """Free batch after batch; the drain, and whether its partition was found empty before the time was up.

    Raises: StaleRevError: as above.
    """
    handled: set[InstanceSid] = set()
    said_so = ports.clock.now()
    while time_left() > RESERVE:
        begun = ports.clock.now()
        if begun - said_so >= SAY_SO:
            release_job, said_so = _in_hand(ports, release_job), begun
        until, most = begun + GRACE, BATCH + len(handled) + len(drained.failed)
        found = ports.instances.due(release_job.partition, until=until, limit=most)
        batch = [sid for sid in found if sid not in handled and sid not in drained.failed]
        if not batch and not any(sid in handled for sid in found):
            return release_job, True
        handled = set(batch) or handled
        for sid in batch:
            _free(ports, sid, drained)
        passed = (ports.clock.now() - begun).total_seconds()
        ports.clock.sleep(max(len(batch) * SHARDS / FREED_PER_SECOND, 0 if batch else LAG_SECONDS) - passed)
    return release_job, False


def _free(ports: Ports, sid: InstanceSid, drained: BatchProgress) -> None:
    """One instance freed and rung for. One that cannot be read or decided on holds up none of the others."""
    try:
        verdict = execute(ports, sid, Unblock())
    except (RitornelloError, UnknownStrategyError, ContentionError) as error:
        drained.failed[sid] = f"{type(error).__name__}: {error}"
        return
    if isinstance(verdict, Applied):
        schedule_wakeup(ports, verdict.instance)
        drained.done += 1
