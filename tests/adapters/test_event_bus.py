"""The EventBridge bus and the bucket of unreadable records, on emulated services. Source: docs/events.md."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from moto import mock_aws

from shared.adapters.event_bus import EventBridgeBus, S3Unreadable
from shared.application.publish import Refusal, StreamRecord
from shared.domain.notifications.decide import notifications_of
from shared.domain.notifications.model import InstanceWrite, Notification
from tests.factories import an_instance


def created(number: int) -> Notification:
    instance = an_instance(rev=number)
    return notifications_of(InstanceWrite(before=None, after=instance))[0]


@dataclass
class Bus:
    """An events client that refuses some entries, by their place in all entries."""

    refuses: set[int] = field(default_factory=set)
    code: str = "ThrottlingException"
    requests: list[list[Mapping[str, Any]]] = field(default_factory=list)

    def put_events(self, sent: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        first = sum(len(entries) for entries in self.requests)
        self.requests.append(list(sent))
        return {
            "Entries": [
                {"ErrorCode": self.code} if first + place in self.refuses else {"EventId": "e"}
                for place in range(len(sent))
            ]
        }


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        yield


class TestTheBus:
    """Notifications are sent ten at a time, each with its kind and its message."""

    def test_an_entry_names_bus_source_kind_time_and_message(self) -> None:
        client = Bus()
        notification = created(1)

        assert EventBridgeBus(client=lambda: client, name="ours").send([notification]) == {}

        ((entry,),) = client.requests
        assert (entry["EventBusName"], entry["Source"], entry["DetailType"]) == (
            "ours",
            "ritornello",
            "instance.created",
        )
        assert entry["Time"] == int(notification.at.timestamp())
        assert json.loads(entry["Detail"])["id"] == "i-1-instance.created"

    @pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (10, [10]), (11, [10, 1]), (25, [10, 10, 5])])
    def test_ten_entries_are_one_request(self, count: int, sizes: list[int]) -> None:
        client = Bus()

        EventBridgeBus(client=lambda: client, name="ours").send([created(n) for n in range(1, count + 1)])

        assert [len(entries) for entries in client.requests] == sizes

    @pytest.mark.parametrize("refused", [{0}, {9, 10}, {24}])
    def test_entries_that_are_not_accepted_are_returned_by_place(self, refused: set[int]) -> None:
        client = Bus(refuses=refused)
        bus = EventBridgeBus(client=lambda: client, name="ours")

        found = bus.send([created(n) for n in range(1, 26)])

        assert found == dict.fromkeys(refused, Refusal(code="events:ThrottlingException"))

    @pytest.mark.parametrize(
        ("code", "is_final"),
        [
            ("MalformedDetail", True),
            ("ThrottlingException", False),
            ("AccessDeniedException", False),
            ("InvalidArgument", False),
        ],
    )
    def test_only_what_is_malformed_is_refused_for_good(self, code: str, *, is_final: bool) -> None:
        bus = EventBridgeBus(client=lambda: Bus(refuses={0}, code=code), name="ours")

        assert bus.send([created(1)]) == {0: Refusal(code=f"events:{code}", is_final=is_final)}


class TestUnreadableRecords:
    """A record that cannot be read is an object in the form of a batch."""

    @pytest.mark.usefixtures("aws")
    def test_a_record_is_stored_whole_and_once(self) -> None:
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="set-aside", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        store = S3Unreadable(client=lambda: s3, bucket="set-aside")
        source = {"dynamodb": {"NewImage": {"schema": {"N": "9"}}}}

        for _ in range(2):
            store.put(StreamRecord(position="12", write=None, source=source))

        (stored,) = s3.list_objects_v2(Bucket="set-aside")["Contents"]
        assert stored["Key"] == "unreadable/12.json"
        assert json.loads(s3.get_object(Bucket="set-aside", Key=stored["Key"])["Body"].read()) == {
            "Records": [source]
        }
