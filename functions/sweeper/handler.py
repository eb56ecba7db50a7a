"""The sweeper: every minute, wakes the runner for instances and operations whose wakeup was lost."""

from collections import Counter
from datetime import timedelta
from enum import StrEnum
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.adapters.metrics import FAILED_INSTANCES, Values, write_faults, write_metrics
from shared.application.log_lines import log_line
from shared.application.sweep import SweepReport, sweep
from shared.bootstrap import ports, prepare, settings, workers

logger = Logger(json_serializer=log_line)
prepare("kms", "lambda", "scheduler")


class Metric(StrEnum):
    """The metrics of a sweep. The dashboard and the alarms use them."""

    SWEPT = "SweptInstances"
    FAILED = FAILED_INSTANCES
    BACKLOG = "Backlog"
    WAIT = "LongestWait"


@logger.inject_lambda_context
def lambda_handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Sweep operations and shards until none is due or the time is up.

    Return how many instances and operations were woken, how many failed, and how many due entries are left.
    """
    answer = {"wakeups": 0, "failed": 0, "operations": 0, "left": 0}
    for report in sweep(
        ports(), workers(), time_left=lambda: timedelta(milliseconds=context.get_remaining_time_in_millis())
    ):
        _publish(report)
        answer["wakeups"] += report.wakeups
        answer["failed"] += len(report.failed)
        answer["operations"] += report.operations
        answer["left"] = report.backlog
    logger.info("sweep finished", extra=answer)
    return answer


def _publish(report: SweepReport) -> None:
    """Write the logs and metrics of a report at once, because the invocation may be cut off before the next one."""
    # What cannot be read must not stop the sweep, but must be seen.
    for name, failure in report.failed.items():
        extra = {"instance": name, "fault": failure.fault, "why": failure.why}
        logger.error("instance not swept", extra=extra)
    stage = settings().stage
    # Without a shard that could be read there is no value, and the alarm treats that as late.
    waits = [max(report.waits.values()).total_seconds()] if report.waits else []
    values: Values = {
        Metric.SWEPT: (MetricUnit.Count, [report.wakeups]),
        Metric.FAILED: (MetricUnit.Count, [len(report.failed)]),
        Metric.BACKLOG: (MetricUnit.Count, [report.backlog]),
        Metric.WAIT: (MetricUnit.Seconds, waits),
    }
    write_metrics(values, {"stage": stage})
    write_faults(Counter(failure.fault for failure in report.failed.values()), stage=stage)
    for shard, wait in report.waits.items():
        # CloudWatch charges for each shard's metric in each hour with a value, so shards without a wait have none.
        if wait:
            seconds = wait.total_seconds()
            write_metrics({Metric.WAIT: (MetricUnit.Seconds, [seconds])}, {"stage": stage, "shard": shard})
