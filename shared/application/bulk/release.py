"""Release the instances that a resumed flag had blocked, at a fixed rate, with one release job for each partition.

Source: docs/design.md section 3.3.
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
"""How many instances are released between two readings of the clock."""

LAG_SECONDS = 1.0
"""How long the due index may still list an instance that has just been released."""


def run_release_job(
    ports: Ports, release_job: ReleaseJob, *, time_left: Callable[[], timedelta]
) -> BatchProgress:
    """Run a release job until its partition is empty or the time is up. It is safe to call this any number of times.

    If the job was begun again in the meantime, this invocation stops at its next write. An instance that cannot be
    read or decided on stays blocked.
    """
    progress = BatchProgress()
    try:
        if _is_flag_set(ports, release_job):
            ports.operations.remove(release_job)
            return progress
        release_job = _take(ports, release_job)
        release_job, is_empty = _free_batches(ports, release_job, progress, time_left)
        after = after_batch(release_job, freed=progress.done, is_empty=is_empty, now=ports.clock.now())
        if after is None:
            ports.operations.remove(release_job)
        else:
            ports.operations.commit(after)
    except StaleRevError:
        return progress
    if not is_empty and progress.done:
        ports.wakeups.invoke_operation(release_job.sid)
    return progress


def _is_flag_set(ports: Ports, release_job: ReleaseJob) -> bool:
    """Return whether the flag was set again."""
    if release_job.blocked_by is BlockedBy.QUEUE:
        return ports.access.queue_flag(release_job.account_id).is_paused
    head = ports.strategies.head(StrategySid(release_job.owner))
    return head is not None and head.is_paused


def _take(ports: Ports, release_job: ReleaseJob) -> ReleaseJob:
    """Store that this invocation works on the job, and return the job.

    Raises: StaleRevError: the job was begun again, or another invocation works on it.
    """
    taken = own_job(release_job, now=ports.clock.now())
    ports.operations.commit(taken)
    return taken


def _free_batches(
    ports: Ports, release_job: ReleaseJob, progress: BatchProgress, time_left: Callable[[], timedelta]
) -> tuple[ReleaseJob, bool]:
    """Release batch after batch. Return the job, and whether its partition was empty before the time was up.

    It stops early if the flag was set again.

    Raises: StaleRevError: as for ``_take``.
    """
    handled: set[InstanceSid] = set()
    said_so = ports.clock.now()
    while time_left() > RESERVE:
        begun = ports.clock.now()
        if begun - said_so >= SAY_SO:
            # Runners block what is released under a set flag, so this invocation would release it again and again.
            if _is_flag_set(ports, release_job):
                return release_job, False
            release_job, said_so = _take(ports, release_job), begun
            # By now the index has caught up. What it still lists was blocked again by a runner that then crashed.
            handled = set()
        # Entries that the lagging index still lists take up places, so more are read.
        until, most = begun + GRACE, BATCH + len(handled) + len(progress.failed)
        entries = ports.instances.due(release_job.partition, until=until, limit=most)
        found = [entry.sid for entry in entries]
        batch = [sid for sid in found if sid not in handled and sid not in progress.failed]
        # Released instances that are still listed do not count, but their entries must disappear first.
        if not batch and not any(sid in handled for sid in found):
            return release_job, True
        handled = set(batch) or handled
        for sid in batch:
            _free(ports, sid, progress)
        passed = (ports.clock.now() - begun).total_seconds()
        # The rate is shared by the jobs of all shards.
        ports.clock.sleep(max(len(batch) * SHARDS / FREED_PER_SECOND, 0 if batch else LAG_SECONDS) - passed)
    return release_job, False


def _free(ports: Ports, sid: InstanceSid, progress: BatchProgress) -> None:
    """Release one instance and schedule its wakeup. If it cannot be read or decided on, the others continue."""
    try:
        verdict = execute(ports, sid, Unblock())
    except (RitornelloError, UnknownStrategyError, ContentionError) as error:
        progress.failed[sid] = f"{type(error).__name__}: {error}"
        return
    if isinstance(verdict, Applied):
        schedule_wakeup(ports, verdict.instance)
        progress.done += 1
