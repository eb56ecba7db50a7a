"""The expirer: deletes the rest of an event when DynamoDB has deleted its record because it had expired.

Lambda invokes it with batches of such deletions from the stream of the table of events.
"""

from datetime import timedelta
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.adapters.dynamodb.expiry import expired_record
from shared.application.expire import ExpiryReport, expire
from shared.application.log_lines import log_line
from shared.bootstrap import expirer, prepare

logger = Logger(json_serializer=log_line)
prepare()


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Finish the expiry of a batch, and return the record from which Lambda must repeat it, if any.

    If this raises, Lambda halves the batch and repeats it.
    """
    # The mapping filters in the same way; a deletion that is none by expiry must not delete a journal.
    expired = [found for record in event["Records"] if (found := expired_record(record)) is not None]
    report = expire(
        expirer(), expired, time_left=lambda: timedelta(milliseconds=context.get_remaining_time_in_millis())
    )
    _log(report)
    if report.repeat_from is None:
        return {"batchItemFailures": []}
    return {"batchItemFailures": [{"itemIdentifier": report.repeat_from}]}


def _log(report: ExpiryReport) -> None:
    for record in report.put_back:
        log = logger.info if record.is_expected else logger.error
        log("expired record put back", extra={"event": record.event, "why": record.why})
    done = {"events": report.events, "items": report.items}
    if report.fault is None:
        logger.info("histories deleted", extra=done)
    else:
        logger.error("expiry not finished", extra={**done, "why": str(report.fault)})
