"""The webhook sender: delivers notifications to the webhooks of accounts.

Lambda invokes it with messages of a queue. A message that is not delivered is hidden for a growing time, and after the
last attempt the queue moves it to the dead letters.
"""

from datetime import timedelta
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.adapters.delivery_queue import delivery_of
from shared.application.log_lines import log_line
from shared.application.webhooks import NotDelivered, deliver
from shared.bootstrap import begin_sending, prepare, webhook_caller

logger = Logger(json_serializer=log_line)
prepare("kms", "sqs", calls=webhook_caller)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Send the messages, and return those that stay in the queue."""
    ports = begin_sending()
    failed: list[dict[str, str]] = []
    for record in event["Records"]:
        delivery = delivery_of(record["body"])
        attempt = int(record["attributes"]["ApproximateReceiveCount"])
        outcome = deliver(ports, delivery, attempt=attempt)
        extra = {"account": delivery.account_id, "id": delivery.message["id"], "attempt": attempt}
        if isinstance(outcome, NotDelivered):
            logger.warning("notification not delivered", extra={**extra, "why": outcome.why})
            # After the last attempt the message returns at once, and the queue moves it to the dead letters.
            ports.deliveries.hide(record["receiptHandle"], outcome.retry_after or timedelta())
            failed.append({"itemIdentifier": record["messageId"]})
        else:
            logger.info("notification sent", extra={**extra, "outcome": type(outcome).__name__})
    return {"batchItemFailures": failed}
