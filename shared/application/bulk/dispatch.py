"""Run any operation: a release job or a bulk operation. Source: docs/design.md section 3.3, and 8."""

from collections.abc import Callable
from datetime import timedelta
from typing import assert_never

from shared.application.bulk.progress import BatchProgress
from shared.application.bulk.release import run_release_job
from shared.application.bulk.worker import run_bulk_operation
from shared.application.ports import Ports, Workers
from shared.domain.bulk.operation import BulkOperation
from shared.domain.bulk.pace import Pace
from shared.domain.bulk.release import ReleaseJob
from shared.domain.ids import OperationSid

EARLY = timedelta(seconds=5)
"""How long before its date an operation may be continued."""


def run_operation(
    ports: Ports, workers: Workers, sid: OperationSid, *, pace: Pace, time_left: Callable[[], timedelta]
) -> BatchProgress:
    """Run an operation until it ends or the invocation's time is up. It is safe to call this any number of times.

    ``pace`` is that of all instances of the operation, or of all release jobs of a flag together.

    If the operation is unknown or not due, return without doing anything.
    """
    operation = ports.operations.load(sid)
    at = None if operation is None else operation.sweep_at
    if operation is None or at is None or at > ports.clock.now() + EARLY:
        return BatchProgress()
    match operation:
        case ReleaseJob():
            return run_release_job(ports, workers, operation, pace=pace, time_left=time_left)
        case BulkOperation():
            return run_bulk_operation(ports, workers, operation, pace=pace, time_left=time_left)
        case _:
            assert_never(operation)
