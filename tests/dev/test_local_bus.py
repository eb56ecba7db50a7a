"""The bus, the bucket and the queue of webhooks of the local stack."""

import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from dev.gateway import HttpRequest
from dev.local_bus import BUCKET_PATH, BUS_PATH, LocalBus
from dev.webhook_queue import WebhookQueue


def request(target: str, body: bytes = b"", *, last: str | None = None) -> HttpRequest:
    headers = {} if last is None else {"last-event-id": last}
    return HttpRequest(method="GET", target=target, headers=headers, body=body, source="127.0.0.1")


def put(bus: LocalBus, *kinds: str) -> Any:
    entries = [{"DetailType": kind, "Detail": json.dumps({"id": f"n-{kind}"})} for kind in kinds]
    return json.loads(bus.put_events(request(BUS_PATH, json.dumps({"Entries": entries}).encode())).body)


def events(bus: LocalBus, count: int, *, last: str | None = None) -> list[str]:
    """Return the first server-sent events of a subscription, after its greeting."""
    chunks = bus.subscribe(request("/_local/events", last=last)).chunks
    assert chunks is not None
    return [chunk.decode() for chunk in islice(chunks, 1, count + 1)]


class TestTheBus:
    """Events are kept in a file, and each subscriber reads them in order."""

    def test_every_entry_is_accepted_and_kept(self, tmp_path: Path) -> None:
        answer = put(LocalBus(tmp_path), "a", "b")

        assert (answer["FailedEntryCount"], len(answer["Entries"])) == (0, 2)
        assert all(entry["EventId"] for entry in answer["Entries"])

    def test_a_subscriber_reads_from_the_beginning_or_after_an_event(self, tmp_path: Path) -> None:
        bus = LocalBus(tmp_path)
        put(bus, "a", "b")

        first, second = events(bus, 2)

        assert first.splitlines()[1:] == ["event: a", 'data: {"id": "n-a"}', ""]
        last = first.splitlines()[0].removeprefix("id: ")
        assert events(bus, 1, last=last) == [second]

    def test_another_process_continues_the_file(self, tmp_path: Path) -> None:
        put(LocalBus(tmp_path), "a")
        put(LocalBus(tmp_path), "b")

        assert len(events(LocalBus(tmp_path), 2)) == 2

    def test_a_closed_bus_ends_its_subscriptions(self, tmp_path: Path) -> None:
        bus = LocalBus(tmp_path)
        chunks = bus.subscribe(request("/_local/events")).chunks
        assert chunks is not None
        next(chunks)
        bus.close()

        assert list(chunks) == []

    @pytest.mark.parametrize("last", ["x", "-1", "1.5", "²"])
    def test_an_unknown_position_is_refused(self, tmp_path: Path, last: str) -> None:
        assert LocalBus(tmp_path).subscribe(request("/_local/events", last=last)).status == 400

    def test_an_object_is_written_into_the_folder(self, tmp_path: Path) -> None:
        bus = LocalBus(tmp_path)
        bus.put_object(request(f"{BUCKET_PATH}/unpublished/unreadable/12.json?x-id=PutObject", b"{}"))

        assert (tmp_path / "unpublished" / "12.json").read_bytes() == b"{}"


class Queue:
    """An SQS client with some messages."""

    def __init__(self, *bodies: str) -> None:
        self.bodies = list(bodies)
        self.deleted: list[str] = []

    def receive_message(self, **_: Any) -> Any:
        found = self.bodies[:1]
        del self.bodies[:1]
        return {
            "Messages": [
                {
                    "MessageId": b,
                    "ReceiptHandle": f"r-{b}",
                    "Body": b,
                    "Attributes": {"ApproximateReceiveCount": "1"},
                }
                for b in found
            ]
        }

    def delete_message(self, *, ReceiptHandle: str, **_: Any) -> None:  # noqa: N803 - boto3's spelling
        self.deleted.append(ReceiptHandle)


class TestTheQueueOfWebhooks:
    """A message that was sent is deleted; any other returns by itself."""

    @pytest.mark.parametrize(
        ("answer", "deleted"),
        [
            ({"batchItemFailures": []}, ["r-a"]),
            ({"batchItemFailures": [{"itemIdentifier": "a"}]}, []),
            (None, []),
        ],
    )
    def test_only_a_sent_message_is_deleted(
        self, answer: Mapping[str, Any] | None, deleted: list[str]
    ) -> None:
        sqs = Queue("a")
        seen: list[str] = []

        def send(event: Mapping[str, Any]) -> Mapping[str, Any] | None:
            seen.append(event["Records"][0]["body"])
            return answer

        queue = WebhookQueue(sqs, "url", send)

        assert queue.advance()
        assert not queue.advance()
        assert (seen, sqs.deleted) == (["a"], deleted)
