"""One invocation of the bulk runner, as tests run it: piece after piece, in batches of 25."""

from collections.abc import Callable
from datetime import timedelta

from shared.application.bulk.dispatch import run_operation
from shared.application.bulk.progress import BatchProgress
from shared.application.ports import Ports, Workers
from shared.application.workers import OneWorker
from shared.domain.bulk.pace import Pace
from shared.domain.ids import OperationSid

A_LIFE = timedelta(minutes=15)
BATCH = 25
"""So that few instances make several batches."""
PACE = Pace(max_batch=BATCH)


def run_bulk(
    ports: Ports,
    sid: OperationSid,
    *,
    time_left: Callable[[], timedelta] = lambda: A_LIFE,
    workers: Workers | None = None,
    pace: Pace = PACE,
) -> BatchProgress:
    """Run an operation until it ends or the time is up."""
    return run_operation(ports, workers or OneWorker(), sid, pace=pace, time_left=time_left)
