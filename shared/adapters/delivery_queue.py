"""The SQS queue between the publisher and the webhook sender.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final, Protocol

from msgspec import Struct

from shared.adapters.aws.errors import AwsError
from shared.application.ports import UnavailableError
from shared.application.publish import Refusal
from shared.application.webhooks import Delivery
from shared.domain.ids import AccountId

MAX_MESSAGES: Final = 10
"""How many messages ``SendMessageBatch`` takes."""

INVALID_CONTENTS: Final = "InvalidMessageContents"
"""The end of the error code for a message with characters that SQS does not admit."""


class SqsClient(Protocol):
    """The part of SQS that is used (``shared/adapters/aws/services.py``)."""

    def send_message_batch(self, url: str, entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Send messages to a queue, each by itself."""

    def change_message_visibility(self, url: str, receipt: str, *, seconds: int) -> None:
        """Hide a received message for some seconds."""


class SqsDeliveries(Struct, frozen=True, kw_only=True):
    """A ``DeliveryQueue``.

    ``report`` is called with the error if a message could not be hidden. Then it returns when the queue's own time of
    invisibility is over.
    """

    client: Callable[[], SqsClient]
    url: str
    report: Callable[[Exception], None]

    def put(self, deliveries: Sequence[Delivery]) -> Mapping[int, Refusal]:
        refused: dict[int, Refusal] = {}
        for first in range(0, len(deliveries), MAX_MESSAGES):
            some = deliveries[first : first + MAX_MESSAGES]
            answer = self.client().send_message_batch(
                self.url,
                [
                    {
                        "Id": str(first + place),
                        "MessageBody": _body(one),
                        "MessageGroupId": _group(one.account_id),
                    }
                    for place, one in enumerate(some)
                ],
            )
            refused |= {
                # SenderFault would say too much: it may be true for throttling.
                int(entry["Id"]): Refusal(
                    code=f"sqs:{entry['Code']}", is_final=entry["Code"].endswith(INVALID_CONTENTS)
                )
                for entry in answer.get("Failed", ())
            }
        return refused

    def hide(self, receipt: str, delay: timedelta) -> None:
        """Hide a received message, which then returns to be received again."""
        try:
            self.client().change_message_visibility(self.url, receipt, seconds=int(delay.total_seconds()))
        except (AwsError, UnavailableError) as error:
            self.report(error)


def delivery_of(body: str) -> Delivery:
    """Return the delivery of a message."""
    found = json.loads(body)
    return Delivery(account_id=AccountId(found["accountId"]), message=found["message"])


def _group(account: AccountId) -> str:
    """Return the group of an account's messages.

    On a standard queue a group does not order messages. SQS then prefers the messages of other groups to those of one
    that keeps the senders busy.
    """
    # An account's id may be any text; SQS admits letters, digits and punctuation, at most 128 of them.
    return sha256(account.encode()).hexdigest()


def _body(delivery: Delivery) -> str:
    document = {"accountId": delivery.account_id, "message": delivery.message}
    # SQS refuses U+FFFE, U+FFFF and some others, which a comment may hold, but not their escapes. The sender reads the
    # JSON and writes it anew.
    return json.dumps(document, separators=(",", ":"))
