"""The bulk runner: runs one operation on many instances.

The API, the sweeper and the bulk runner itself invoke it with ``{"sid": <operation>}``.
"""

from datetime import timedelta
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.adapters.metrics import write_failures
from shared.application.bulk.dispatch import run_operation
from shared.application.log_lines import log_line
from shared.bootstrap import ports, prepare, settings, workers
from shared.domain.ids import OperationSid

logger = Logger(json_serializer=log_line)
prepare("kms", "lambda", "scheduler")


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Run the operation while the time lasts. Return how many instances were released or commanded.

    If this raises, Lambda retries it, and the sweeper comes in any case.
    """
    sid = OperationSid(event["sid"])
    progress = run_operation(
        ports(),
        workers(),
        sid,
        pace=settings().bulk_pace,
        time_left=lambda: timedelta(milliseconds=context.get_remaining_time_in_millis()),
    )
    for instance, why in progress.failed.items():
        logger.error("instance not processed", extra={"operation": sid, "instance": instance, "why": why})
    write_failures(progress.faults, stage=settings().stage)
    logger.info(
        "operation advanced", extra={"operation": sid, "done": progress.done, "failed": len(progress.failed)}
    )
    return {"done": progress.done, "failed": len(progress.failed)}
