"""Gives the messages of the webhook queue to the sender on a developer's machine, as Lambda does on AWS."""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from botocore import handlers
from botocore.exceptions import BotoCoreError, ClientError

PAUSE_SECONDS = 1.0

Send = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
"""Gives a batch to the sender and returns its answer, None if it failed."""


def omit_groups() -> None:
    """Send messages without their group from sessions made from now on.

    The emulator refuses ``MessageGroupId`` on a standard queue. SQS takes it since 2025.
    """
    handlers.BUILTIN_HANDLERS.append(("before-parameter-build.sqs.SendMessageBatch", _omit_groups))


def without_groups(target: str, body: bytes) -> bytes:
    """Return the body of a request to SQS without the groups of its messages, for functions in containers."""
    if target != "AmazonSQS.SendMessageBatch":
        return body
    params = json.loads(body)
    _omit_groups(params)
    return json.dumps(params).encode()


def _omit_groups(params: dict[str, Any], **_: Any) -> None:  # noqa: ANN401 - botocore's events
    for entry in params["Entries"]:
        entry.pop("MessageGroupId", None)


class WebhookQueue:
    """Takes messages from the queue at ``url``, one after another, in a thread."""

    def __init__(self, sqs: Any, url: str, send: Send) -> None:  # noqa: ANN401 - boto3 has no types of its own
        self._sqs, self._url, self._send = sqs, url, send
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="webhooks")

    def start(self) -> None:
        """Deliver from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current message. The others stay in the queue."""
        self._stopping.set()
        self._thread.join()

    def advance(self) -> bool:
        """Give the next message to the sender. Return False if there was none."""
        found = self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=1, MessageSystemAttributeNames=["ApproximateReceiveCount"]
        ).get("Messages", [])
        for message in found:
            record = {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "eventSource": "aws:sqs",
            }
            answer = self._send({"Records": [record]})
            # Without an answer the message returns when its time of invisibility is over.
            if answer is not None and not answer["batchItemFailures"]:
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return bool(found)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                was_busy = self.advance()
            except (BotoCoreError, ClientError) as error:
                print(f"the queue of webhooks cannot be read for now: {error!r}", flush=True)  # noqa: T201 - the log of the stack
                was_busy = False
            if not was_busy:
                self._stopping.wait(PAUSE_SECONDS)
