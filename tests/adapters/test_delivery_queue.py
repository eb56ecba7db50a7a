"""The queue of deliveries, on an emulated SQS. Source: docs/decisions/0041-webhooks-are-signed-and-guarded.md."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from dev.aws import session_of
from shared.adapters.aws.errors import AwsError
from shared.adapters.aws.services import Sqs
from shared.adapters.delivery_queue import SqsDeliveries, delivery_of
from shared.adapters.dynamodb.client import PATIENCE
from shared.application.publish import Refusal
from shared.application.webhooks import Delivery
from shared.domain.ids import AccountId


def delivery(number: int) -> Delivery:
    return Delivery(account_id=AccountId("acme"), message={"id": f"n-{number}", "text": "Müde"})


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, str]]:
    """Return an SQS client and the URL of a queue."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        sqs = boto3.client("sqs")
        yield sqs, sqs.create_queue(QueueName="webhooks")["QueueUrl"]


def received(sqs: Any, url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += messages
    return found


def ours() -> Sqs:
    return Sqs(session_of(boto3.Session()).client("sqs", patience=PATIENCE))


def deliveries(sqs: Any, url: str) -> SqsDeliveries:
    """Return the deliveries of a queue. ``sqs`` is boto3's client, or a test's own."""
    client = sqs if isinstance(sqs, Accepting) else ours()
    return SqsDeliveries(client=lambda: client, url=url, report=lambda error: pytest.fail(str(error)))


@dataclass
class Accepting:
    """An SQS client that accepts every entry."""

    entries: list[Mapping[str, Any]] = field(default_factory=list)

    def send_message_batch(self, _url: str, entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        self.entries += entries
        return {}

    def change_message_visibility(self, url: str, receipt: str, *, seconds: int) -> None:
        raise AssertionError(url, receipt, seconds)


class TestPutting:
    """Deliveries survive the queue, ten a request."""

    @pytest.mark.parametrize("count", [1, 10, 11, 25])
    def test_every_delivery_arrives(self, queue: tuple[Any, str], count: int) -> None:
        put = [delivery(number) for number in range(count)]

        assert deliveries(*queue).put(put) == {}

        found = [delivery_of(message["Body"]) for message in received(*queue)]
        assert sorted(found, key=lambda one: int(str(one.message["id"])[2:])) == put

    @pytest.mark.parametrize("character", ["\ufffe", "\uffff", "\x00", "\x7f", "ü", "\U0001f600"])
    def test_a_body_is_ascii_and_holds_every_character(self, character: str) -> None:
        client = Accepting()
        put = Delivery(account_id=AccountId("acme"), message={"reason": {"message": f"a{character}b"}})

        assert deliveries(client, "q").put([put]) == {}

        (entry,) = client.entries
        assert re.fullmatch(r"[ -\x7f]+", entry["MessageBody"])
        assert delivery_of(entry["MessageBody"]) == put

    def test_the_messages_of_an_account_are_one_group(self) -> None:
        client = Accepting()
        accounts = ["acme", "other", "acme", "größer/ä", "x" * 500]

        deliveries(client, "q").put([Delivery(account_id=AccountId(name), message={}) for name in accounts])

        groups = [entry["MessageGroupId"] for entry in client.entries]
        assert groups[0] == groups[2]
        assert len(set(groups)) == len(set(accounts))
        # SQS admits letters, digits and punctuation, at most 128.
        assert all(re.fullmatch("[0-9a-zA-Z]{1,128}", group) for group in groups)

    def test_a_standard_queue_takes_groups(self, queue: tuple[Any, str]) -> None:
        sqs, url = queue
        deliveries(sqs, url).put([delivery(1)])

        (message,) = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["MessageGroupId"])[
            "Messages"
        ]

        assert "MessageGroupId" in message["Attributes"]

    def test_messages_that_are_not_accepted_are_returned(self) -> None:
        class Refusing(Accepting):
            def send_message_batch(
                self, _url: str, entries: Sequence[Mapping[str, Any]]
            ) -> Mapping[str, Any]:
                return {
                    "Failed": [
                        {"Id": entry["Id"], "Code": "InternalError", "SenderFault": False}
                        for entry in entries
                        if entry["Id"] in {"1", "11"}
                    ]
                }

        put = [delivery(number) for number in range(12)]
        assert deliveries(Refusing(), "q").put(put) == dict.fromkeys(
            [1, 11], Refusal(code="sqs:InternalError")
        )

    @pytest.mark.parametrize(
        ("code", "is_final"),
        [
            ("InvalidMessageContents", True),
            ("AWS.SimpleQueueService.InvalidMessageContents", True),
            ("RequestThrottled", False),
            ("KmsThrottled", False),
            ("InternalError", False),
        ],
    )
    def test_only_invalid_contents_are_refused_for_good(self, code: str, *, is_final: bool) -> None:
        """``SenderFault`` does not decide this, because SQS may set it for throttling as well."""

        class Refusing(Accepting):
            def send_message_batch(
                self, _url: str, _entries: Sequence[Mapping[str, Any]]
            ) -> Mapping[str, Any]:
                return {"Failed": [{"Id": "0", "Code": code, "SenderFault": True}]}

        assert deliveries(Refusing(), "q").put([delivery(1)]) == {
            0: Refusal(code=f"sqs:{code}", is_final=is_final)
        }


class TestHiding:
    """A failed delivery is hidden for its delay."""

    def test_a_hidden_message_is_not_received(self, queue: tuple[Any, str]) -> None:
        deliveries(*queue).put([delivery(1)])
        (message,) = received(*queue)

        deliveries(*queue).hide(message["ReceiptHandle"], timedelta(hours=8))
        assert received(*queue) == []

        deliveries(*queue).hide(message["ReceiptHandle"], timedelta())
        assert len(received(*queue)) == 1

    def test_a_failure_is_reported(self, queue: tuple[Any, str]) -> None:
        errors: list[Exception] = []

        SqsDeliveries(client=ours, url=queue[1], report=errors.append).hide("unknown", timedelta())

        assert [type(error) for error in errors] != []
        assert isinstance(errors[0], AwsError)
