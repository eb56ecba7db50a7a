"""The webhook sender as Lambda calls it, with the real adapters on emulated services."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from dev.memory.world import ManualClock
from functions.webhook_sender.handler import lambda_handler
from shared import bootstrap
from shared.application.webhooks import set_webhook
from shared.domain.ids import AccountId
from shared.domain.instance.verdict import Actor
from tests.functions.contexts import Context

SAMPLE = json.loads((Path(__file__).parents[2] / "events" / "webhook_sender.json").read_text())

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])  # to look the name up; the guard lets nothing out


def sent(*messages: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = lambda_handler({"Records": list(messages)}, Context())  # type: ignore[arg-type]
    return answer


def received(attempt: int) -> dict[str, Any]:
    """Return the sample's message, received from a real queue for the k-th time."""
    sqs, url = boto3.client("sqs"), bootstrap.settings().webhook_queue_url
    sqs.send_message(QueueUrl=url, MessageBody=SAMPLE["Records"][0]["body"])
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    return {
        **SAMPLE["Records"][0],
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "attributes": {"ApproximateReceiveCount": str(attempt)},
    }


@pytest.fixture
def webhook(deployment: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create the queue, and a webhook of the sample's account at an internal address."""
    url = boto3.client("sqs").create_queue(QueueName="webhooks", Attributes={"VisibilityTimeout": "0"})[
        "QueueUrl"
    ]
    monkeypatch.setenv("WEBHOOK_QUEUE_URL", url)
    bootstrap.forget()
    bootstrap.use_clock(deployment)
    set_webhook(
        bootstrap.ports(),
        AccountId("dev"),
        "http://127.0.0.1:4999/",
        kinds=(),
        secret=None,
        by=Actor(name="ann"),
    )


def hidden() -> bool:
    url = bootstrap.settings().webhook_queue_url
    return "Messages" not in boto3.client("sqs").receive_message(QueueUrl=url)


@pytest.mark.usefixtures("webhook")
class TestFailures:
    """A message that is not delivered stays in the queue, hidden for its delay."""

    def test_an_internal_address_is_refused_and_repeated(self, caplog: pytest.LogCaptureFixture) -> None:
        message = received(1)

        assert sent(message) == {"batchItemFailures": [{"itemIdentifier": message["messageId"]}]}
        (warning,) = [r.__dict__ for r in caplog.records if r.message == "notification not delivered"]
        assert (warning["why"], warning["attempt"]) == ("127.0.0.1 is at an internal address", 1)
        assert hidden()

    def test_after_the_last_attempt_it_returns_at_once(self) -> None:
        message = received(10)

        assert sent(message) == {"batchItemFailures": [{"itemIdentifier": message["messageId"]}]}
        assert not hidden()


class TestTheSample:
    """The sample is a message of a batch of one."""

    @pytest.mark.usefixtures("deployment")
    def test_without_a_webhook_it_is_dropped(self, caplog: pytest.LogCaptureFixture) -> None:
        assert sent(*SAMPLE["Records"]) == {"batchItemFailures": []}
        (line,) = [r.__dict__ for r in caplog.records if r.message == "notification sent"]
        assert (line["outcome"], line["id"]) == (
            "Dropped",
            json.loads(SAMPLE["Records"][0]["body"])["message"]["id"],
        )
