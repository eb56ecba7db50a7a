"""The sweeper: every minute, rings for whatever nothing else has looked at in time."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.application.sweep import sweep, wake_operations
from shared.bootstrap import ports, settings
from shared.domain.instance.due import SHARDS

logger = Logger()
metrics = Metrics(namespace="Ritornello")

MAX_ENTRIES_PER_SHARD = 500
"""So many entries of a shard are looked at in one sweep; the rest have their turn in the next."""

MAX_OPERATIONS = 500


@metrics.log_metrics
@logger.inject_lambda_context
def lambda_handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Sweep every shard and ring for what operations are due; how many instances were rung for."""
    swept = [sweep(ports(), shard, limit=MAX_ENTRIES_PER_SHARD) for shard in range(SHARDS)]
    operations = wake_operations(ports(), limit=MAX_OPERATIONS)
    wakeups = sum(one.wakeups for one in swept)
    failed = {sid: why for one in swept for sid, why in one.failed.items()}
    for sid, why in failed.items():
        logger.error("instance not swept", extra={"instance": sid, "why": why})
    metrics.add_dimension("stage", settings().stage)
    metrics.add_metric("SweptInstances", MetricUnit.Count, wakeups)
    metrics.add_metric("FailedInstances", MetricUnit.Count, len(failed))
    latest = max(one.latest for one in swept).total_seconds()
    metrics.add_metric("LongestWait", MetricUnit.Seconds, latest)
    logger.info("sweep finished", extra={"wakeups": wakeups, "failed": len(failed), "operations": operations})
    return {"wakeups": wakeups, "failed": len(failed), "operations": operations}
