"""The publisher as Lambda calls it, with the real adapters on emulated services."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from msgspec.structs import force_setattr

from dev.stream_records import record_of
from functions.publisher.handler import lambda_handler
from shared import bootstrap
from shared.adapters.dynamodb.items import instance_item
from shared.domain.instance.model import InstanceStatus
from tests.factories import an_instance
from tests.functions.contexts import Context

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("deployment")


@pytest.fixture(autouse=True)
def outside(deployment: object) -> Iterator[None]:
    """Create the bus and the bucket."""
    assert deployment
    chosen = bootstrap.settings()
    boto3.client("events").create_event_bus(Name=chosen.event_bus)
    boto3.client("s3").create_bucket(
        Bucket=chosen.unpublished_bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    yield
    bootstrap.forget()


def created(number: int) -> dict[str, Any]:
    table = bootstrap.settings().tables.instances
    image = instance_item(an_instance(rev=number, status=InstanceStatus.ACTIVE))
    return record_of(table, ("sid",), None, image, number=number)


def published(*records: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = lambda_handler({"Records": list(records)}, Context())  # type: ignore[arg-type]
    return answer


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


class TestBatches:
    """Lambda learns from which record a batch must be repeated."""

    def test_a_batch_is_published(self, caplog: pytest.LogCaptureFixture) -> None:
        assert published(*[created(number) for number in range(1, 13)]) == {"batchItemFailures": []}
        assert [record.__dict__["sent"] for record in caplog.records if "sent" in record.__dict__] == [12]

    def test_a_refused_notification_is_repeated_with_all_that_follow(
        self, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        class Refusing:
            """An events client that accepts the first entry of a request only."""

            def put_events(self, entries: Sequence[Mapping[str, Any]]) -> Any:
                count = len(entries)
                refused = {"ErrorCode": "AccessDeniedException", "ErrorMessage": "a message of EventBridge"}
                return {"Entries": [{"EventId": "e"}, *[refused] * (count - 1)]}

        # The only place at which a client of AWS can be given to the real adapters.
        bus = bootstrap.publisher().bus
        force_setattr(bus, "client", Refusing)  # type: ignore[arg-type]

        answer = published(created(1), created(2), created(3))

        assert answer == {"batchItemFailures": [{"itemIdentifier": f"{2:021}"}]}
        (line,) = [r.__dict__ for r in caplog.records if r.message == "notifications not accepted"]
        assert (line["refused"], line["codes"]) == (2, ["events:AccessDeniedException"])
        (metric,) = [line for line in lines(capsys) if "_aws" in line]
        assert (metric["RefusedNotifications"], metric["stage"]) == ([2.0], "test")

    def test_an_unreadable_image_is_set_aside_and_the_others_are_published(
        self, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        broken = created(2)
        broken["dynamodb"]["NewImage"]["schema"] = {"N": "9"}

        assert published(created(1), broken, created(3)) == {"batchItemFailures": []}

        bucket = bootstrap.settings().unpublished_bucket
        body = boto3.client("s3").get_object(Bucket=bucket, Key=f"unreadable/{2:021}.json")["Body"].read()
        assert json.loads(body) == {"Records": [broken]}
        assert [r.__dict__["sent"] for r in caplog.records if "sent" in r.__dict__] == [2]
        assert "change set aside" in [record.message for record in caplog.records]
        (metric,) = [line for line in lines(capsys) if "_aws" in line]
        assert (metric["UnreadableChanges"], metric["stage"]) == ([1.0], "test")

    def test_a_batch_that_was_set_aside_can_be_published_later(self) -> None:
        """The object is a batch in the form in which Lambda delivers it."""
        broken = created(2)
        schema = broken["dynamodb"]["NewImage"]["schema"]
        broken["dynamodb"]["NewImage"]["schema"] = {"N": "9"}
        published(broken)
        bucket = bootstrap.settings().unpublished_bucket
        body = boto3.client("s3").get_object(Bucket=bucket, Key=f"unreadable/{2:021}.json")["Body"].read()
        batch = json.loads(body)
        batch["Records"][0]["dynamodb"]["NewImage"]["schema"] = schema

        assert lambda_handler(batch, Context()) == {"batchItemFailures": []}  # type: ignore[arg-type]

    def test_the_sample_announces_a_pause(self, caplog: pytest.LogCaptureFixture) -> None:
        text = (ROOT / "events" / "publisher.json").read_text()
        sample = json.loads(text.replace("ritornello-local-", "ritornello-test-"))

        assert published(*sample["Records"]) == {"batchItemFailures": []}
        assert [r.__dict__["sent"] for r in caplog.records if "sent" in r.__dict__] == [1]

    def test_an_unreachable_bus_fails_the_batch(self) -> None:
        class Down(Exception):  # noqa: N818 - of this test only
            pass

        class Broken:
            def put_events(self, _: Sequence[Mapping[str, Any]]) -> Any:
                raise Down

        force_setattr(bootstrap.publisher().bus, "client", Broken)  # type: ignore[arg-type]

        with pytest.raises(Down):
            published(created(1))
