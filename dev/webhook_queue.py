"""Gives the messages of the webhook queue to the sender on a developer's machine, as Lambda does on AWS."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from shared.adapters.aws.client import Answer
from shared.adapters.aws.services import Sqs

PAUSE_SECONDS = 1.0

Send = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
"""Gives a batch to the sender and returns its answer, None if it failed."""


def omit_groups() -> None:
    """Send messages without their group from now on.

    The emulator refuses ``MessageGroupId`` on a standard queue. SQS takes it since 2025.
    """
    send = Sqs.send_message_batch

    def without(self: Sqs, url: str, entries: Sequence[Mapping[str, Any]]) -> Answer:
        return send(self, url, [_without_group(entry) for entry in entries])

    Sqs.send_message_batch = without  # type: ignore[method-assign]


def without_groups(target: str, body: bytes) -> bytes:
    """Return the body of a request to SQS without the groups of its messages, for functions in containers."""
    if target != "AmazonSQS.SendMessageBatch":
        return body
    request = json.loads(body)
    request["Entries"] = [_without_group(entry) for entry in request["Entries"]]
    return json.dumps(request).encode()


def _without_group(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "MessageGroupId"}


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
