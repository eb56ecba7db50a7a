"""The sweeper: every minute, wakes the runner for instances and operations whose wakeup was lost."""

from enum import StrEnum
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.application.log_lines import log_line
from shared.application.sweep import sweep, wake_operations
from shared.bootstrap import ports, settings
from shared.domain.instance.due import SHARDS

logger = Logger(json_serializer=log_line)
metrics = Metrics(namespace="Ritornello")


class Metric(StrEnum):
    """The metrics of a sweep. The dashboard and two alarms use them."""

    SWEPT = "SweptInstances"
    FAILED = "FailedInstances"
    WAIT = "LongestWait"


MAX_ENTRIES_PER_SHARD = 500
"""How many entries of a partition one sweep checks. The next sweep checks the rest."""

MAX_OPERATIONS = 500


@metrics.log_metrics
@logger.inject_lambda_context
def lambda_handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Sweep every shard and wake the bulk runner for due operations.

    Return how many instances and operations were woken.
    """
    swept = [sweep(ports(), shard, limit=MAX_ENTRIES_PER_SHARD) for shard in range(SHARDS)]
    operations = wake_operations(ports(), limit=MAX_OPERATIONS)
    wakeups = sum(shard.wakeups for shard in swept)
    failed = {sid: why for shard in swept for sid, why in shard.failed.items()}
    # An unreadable instance must not stop the sweep, but must be seen.
    for sid, why in failed.items():
        logger.error("instance not swept", extra={"instance": sid, "why": why})
    metrics.add_dimension("stage", settings().stage)
    metrics.add_metric(Metric.SWEPT, MetricUnit.Count, wakeups)
    metrics.add_metric(Metric.FAILED, MetricUnit.Count, len(failed))
    latest = max(shard.latest for shard in swept).total_seconds()
    metrics.add_metric(Metric.WAIT, MetricUnit.Seconds, latest)
    logger.info("sweep finished", extra={"wakeups": wakeups, "failed": len(failed), "operations": operations})
    return {"wakeups": wakeups, "failed": len(failed), "operations": operations}
