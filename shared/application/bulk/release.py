"""Release the instances that a resumed flag had blocked, at a limited rate, with one release job for each partition.

The instances of a batch are released at once.
Source: docs/design.md section 3.3.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import assert_never

from shared.application.bulk.progress import RESERVE, BatchProgress
from shared.application.commit import UNREADABLE, ContentionError, execute, schedule_wakeup
from shared.application.ports import Crash, Ports, StaleRevError, UnavailableError, Workers
from shared.domain.bulk.pace import Pace
from shared.domain.bulk.release import SAY_SO, ReleaseJob, after_batch, own_job
from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.due import GRACE, MAX_BACK_OFF, SHARDS
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.model import BlockedBy
from shared.domain.instance.verdict import Applied
from shared.domain.lifecycle.commands import Unblock

LAG_SECONDS = 1.0
"""How long the due index may still list an instance that has just been released."""


def run_release_job(
    ports: Ports, workers: Workers, release_job: ReleaseJob, *, pace: Pace, time_left: Callable[[], timedelta]
) -> BatchProgress:
    """Run a release job until its partition is empty or the time is up. It is safe to call this any number of times.

    ``pace`` is shared by the jobs of all shards.

    If the job was begun again in the meantime, this invocation stops at its next write. An instance that cannot be
    read or decided on stays blocked, and the job stays to try it again.
    """
    progress = BatchProgress()
    try:
        if _is_flag_set(ports, release_job):
            ports.operations.remove(release_job)
            return progress
        release_job = _take(ports, release_job)
        release_job, left = _free_batches(
            ports, workers, release_job, progress, pace.shared_by(SHARDS), time_left
        )
        after = after_batch(
            release_job,
            freed=progress.done,
            is_empty=left is not None,
            left_at=left[0].at if left else None,
            now=ports.clock.now(),
        )
        if after is None:
            ports.operations.remove(release_job)
        else:
            ports.operations.commit(after)
    except StaleRevError:
        return progress
    if left is None and progress.done:
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
    ports: Ports,
    workers: Workers,
    release_job: ReleaseJob,
    progress: BatchProgress,
    pace: Pace,
    time_left: Callable[[], timedelta],
) -> tuple[ReleaseJob, list[DueEntry[InstanceSid]] | None]:
    """Release batch after batch. Return the job, and what could not be released, None if the time was up before.

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
                return release_job, None
            release_job, said_so = _take(ports, release_job), begun
            # By now the index has caught up. What it still lists was blocked again by a runner that then crashed.
            handled = set()
        # Entries that the lagging index still lists take up places, so more are read.
        most = pace.batch_size + len(handled) + len(progress.failed)
        entries = ports.instances.due(release_job.partition, until=begun + 2 * MAX_BACK_OFF, limit=most)
        tried = handled | progress.failed.keys()
        # Only what could not be released before is later than that.
        fresh = [one for one in entries if one.sid not in tried and one.at <= begun + GRACE]
        batch = fresh[: pace.batch_size]
        # Released instances that are still listed do not count, but their entries must disappear first.
        if not batch and not any(entry.sid in handled for entry in entries):
            return release_job, entries
        _free_batch(ports, workers, batch, progress)
        handled = {entry.sid for entry in batch if entry.sid not in progress.failed} or handled
        passed = (ports.clock.now() - begun).total_seconds()
        ports.clock.sleep(max(pace.seconds(len(batch)), 0 if batch else LAG_SECONDS) - passed)
    return release_job, None


def _free_batch(
    ports: Ports, workers: Workers, batch: list[DueEntry[InstanceSid]], progress: BatchProgress
) -> None:
    """Release instances and schedule their wakeups. If one cannot be read or decided on, the others continue.

    Its entry moves on by a back-off, so that it does not keep others from being tried. An error that is not the
    instance's own is raised when those that were begun have ended.
    """
    is_refused = False

    def free(entry: DueEntry[InstanceSid]) -> bool | Exception:
        """Return whether the instance was released, or why it could not be."""
        nonlocal is_refused
        if is_refused:
            return False
        try:
            verdict = execute(ports, entry.sid, Unblock())
        except UnavailableError:
            is_refused = True
            raise
        except (*UNREADABLE, ContentionError) as error:
            ports.instances.postpone(entry, now=ports.clock.now())
            return error
        if isinstance(verdict, Applied):
            schedule_wakeup(ports, verdict.instance)
        return isinstance(verdict, Applied)

    for entry, freed in zip(batch, workers.run(free, batch), strict=True):
        match freed:
            case Crash(error=error):
                raise error
            case Exception() as error:
                progress.add_failure(entry.sid, error)
            case bool():
                progress.done += freed
            case _:
                assert_never(freed)
