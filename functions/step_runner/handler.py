"""The step runner: runs the due events of one instance.

EventBridge Scheduler, the sweeper and other functions invoke it with ``{"sid": <instance>}``.
"""

from datetime import timedelta
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.step_runner.reports import (
    line_of,
    line_of_circuit,
    line_of_overdue,
    write_overdue_metric,
    write_run_metrics,
)
from shared.adapters.metrics import write_failures
from shared.application.commit import UNREADABLE
from shared.application.failures import failure_of
from shared.application.log_lines import log_line
from shared.application.runner.loop import run_due_events
from shared.application.runner.report import OverdueAnswer, RunReport
from shared.bootstrap import begin_invocation, prepare, service_caller, settings, tracer
from shared.domain.ids import InstanceSid

logger = Logger(json_serializer=log_line)
prepare("kms", "lambda", "scheduler", "secretsmanager", "ssm", calls=service_caller)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Run the instance's due events. If this raises, Lambda retries it, and the sweeper comes in any case."""
    sid = InstanceSid(event["sid"])
    reported: list[RunReport] = []
    overdue: list[OverdueAnswer] = []
    traces = tracer()

    def report(run: RunReport) -> None:
        # At once, because the invocation may be cut off during the next run.
        logger.info("run finished", extra=line_of(run))
        for service in run.opened_circuits:
            logger.warning("circuit opened", extra=line_of_circuit(run, service))
        write_run_metrics(run, stage=settings().stage, metered=settings().metered_services)
        if traces is not None:
            traces.send(run)
        reported.append(run)

    def report_overdue(answer: OverdueAnswer) -> None:
        logger.warning("answer missing", extra=line_of_overdue(answer))
        write_overdue_metric(stage=settings().stage)
        overdue.append(answer)

    try:
        claimed = run_due_events(
            begin_invocation(),
            sid,
            job=context.aws_request_id,
            time_left=lambda: timedelta(milliseconds=context.get_remaining_time_in_millis()),
            report=report,
            report_overdue=report_overdue,
        )
    except UNREADABLE as error:
        write_failures({failure_of(error).fault: 1}, stage=settings().stage)
        raise
    if not reported and not overdue:
        logger.info("nothing to run", extra={"instance": sid})
    return {"claimed": claimed}
