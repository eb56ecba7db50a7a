"""The publisher: sends notifications about the writes in the streams of the tables.

Lambda invokes it with batches of stream records.
"""

from enum import StrEnum
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.adapters.dynamodb.streams import stream_record
from shared.adapters.metrics import Values, write_metrics
from shared.application.log_lines import log_line
from shared.application.publish import PublishReport, publish
from shared.bootstrap import prepare, publisher, settings, table_names

logger = Logger(json_serializer=log_line)
prepare("events", "sqs")


class PublisherMetric(StrEnum):
    """The metrics of the publisher. Alarms use them."""

    REFUSED = "RefusedNotifications"
    UNREADABLE = "UnreadableChanges"


def write_publisher_metrics(report: PublishReport) -> None:
    """Write the metrics of a batch."""
    # A metric without a value in an hour costs nothing in it.
    refused = [len(report.refused)] if report.refused else []
    unreadable = [len(report.unreadable)] if report.unreadable else []
    values: Values = {
        # EventBridge and SQS refuse entries with HTTP 200. The batch is then repeated, which Lambda counts as no error.
        PublisherMetric.REFUSED: (MetricUnit.Count, refused),
        PublisherMetric.UNREADABLE: (MetricUnit.Count, unreadable),
    }
    write_metrics(values, {"stage": settings().stage})


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Publish a batch, and return the record from which Lambda must repeat it, if any.

    If this raises, Lambda halves the batch and repeats it.
    """
    tables = table_names()
    report = publish(publisher(), [stream_record(record, tables) for record in event["Records"]])
    for record in report.unreadable:
        logger.error("change set aside", extra={"position": record.key, "why": record.why})
    write_publisher_metrics(report)
    if report.repeat_from is None:
        # Most writes announce nothing, and need no line.
        if report.sent:
            logger.info("batch published", extra={"sent": report.sent})
        return {"batchItemFailures": []}
    extra = {
        "sent": report.sent,
        "refused": len(report.refused),
        "codes": sorted({*report.refused}),
        "position": report.repeat_from,
    }
    logger.error("notifications not accepted", extra=extra)
    return {"batchItemFailures": [{"itemIdentifier": report.repeat_from}]}
