"""The expirer as Lambda calls it, with the real adapters on an emulated DynamoDB."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from msgspec.structs import replace

from dev.memory.world import ManualClock
from shared import bootstrap
from shared.adapters.aws.http import HttpReply
from shared.adapters.dynamodb.tables import EXPIRY
from shared.domain.instance.journal import EventHistory
from shared.domain.strategy.flag import Flag
from tests import full
from tests.adapters.http.replies import Instead, throttling
from tests.contract.instances import an_event, an_instance, changed
from tests.engines import PROMPT
from tests.functions.expiring import END, KEPT, closed, expired, handled, history

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clients() -> list[Any]:
    """Return the clients of DynamoDB that have been made."""
    return []


@pytest.fixture(autouse=True)
def kept(
    deployment: ManualClock, clients: list[Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[ManualClock]:
    """Keep records for ninety days, and audit entries for a year."""
    monkeypatch.setenv("RECORD_RETENTION_DAYS", "90")
    monkeypatch.setenv("AUDIT_RETENTION_DAYS", "365")
    bootstrap.forget()
    bootstrap.use_clock(deployment)
    bootstrap.watch_database(clients.append)
    yield deployment
    bootstrap.forget()


class TestExpiry:
    """When a record has expired, the rest of a closed event is deleted. The record of an open event is put back."""

    def test_a_closed_event_leaves_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        instance = closed(1, 2)

        assert expired(until=END + KEPT - timedelta(seconds=1)) == []
        assert handled(expired(until=END + KEPT)) == {"batchItemFailures": []}

        assert [history(instance, seq) for seq in (1, 2)] == [EventHistory()] * 2
        assert bootstrap.ports().instances.load(instance.sid) == instance
        (line,) = [r.__dict__ for r in caplog.records if r.message == "histories deleted"]
        assert (line["events"], line["items"]) == (2, 6)

    def test_an_open_event_keeps_everything_for_another_retention(
        self, kept: ManualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        instance = closed(1, 2, events=(an_event(1),))
        before = history(instance, 1)

        handled(expired(until=END + KEPT))

        assert (history(instance, 1), history(instance, 2)) == (before, EventHistory())
        (line,) = [r.__dict__ for r in caplog.records if r.message == "expired record put back"]
        assert (line["levelname"], line["event"], line["why"]) == ("INFO", "i-1-1", "open")
        assert expired(until=kept.now() + KEPT - timedelta(seconds=1)) == []
        handled(expired(until=kept.now() + KEPT))
        assert history(instance, 1) == before

    def test_once_it_has_closed_it_is_deleted(self, kept: ManualClock) -> None:
        instance = closed(1, events=(an_event(1),))
        handled(expired(until=END + KEPT))
        bootstrap.ports().instances.commit(changed(instance, events=()))

        handled(expired(until=kept.now() + KEPT))

        assert history(instance, 1) == EventHistory()

    def test_an_instance_of_a_newer_version_keeps_everything(self, caplog: pytest.LogCaptureFixture) -> None:
        instance = closed(1)
        before = history(instance, 1)
        boto3.client("dynamodb").update_item(
            TableName=bootstrap.settings().tables.instances,
            Key={"sid": {"S": instance.sid}},
            UpdateExpression="SET #schema = :newer",
            ExpressionAttributeNames={"#schema": "schema"},
            ExpressionAttributeValues={":newer": {"N": "9"}},
        )

        assert handled(expired(until=END + KEPT)) == {"batchItemFailures": []}

        assert history(instance, 1) == before
        (line,) = [r.__dict__ for r in caplog.records if r.message == "expired record put back"]
        assert (line["levelname"], line["why"]) == ("ERROR", "an item has schema 9 instead of 1")

    def test_a_batch_twice_changes_nothing_more(self) -> None:
        instance = closed(1, 2, events=(an_event(2),))
        records = expired(until=END + KEPT)
        handled(records)
        after = history(instance, 2)
        handled(records)
        assert (history(instance, 1), history(instance, 2)) == (EventHistory(), after)


class TestWhatDoesNotExpire:
    """A deletion for any other reason must not delete a journal, even if the filter of the mapping let it pass."""

    def test_the_deletion_by_a_redrive_deletes_nothing(self) -> None:
        instance = closed(1)
        records = expired(until=END + KEPT)
        del records[0]["userIdentity"]

        assert handled(records) == {"batchItemFailures": []}
        assert len(history(instance, 1).entries) == 2

    def test_journals_and_answers_have_no_expiry(self) -> None:
        closed(1)
        items = boto3.client("dynamodb").scan(TableName=bootstrap.settings().tables.events)["Items"]
        assert [item["sk"]["S"] for item in items if EXPIRY["events"] in item] == ["e#00000001"]

    def test_audit_entries_of_every_store_have_an_expiry(self) -> None:
        ports = bootstrap.ports()
        instance = an_instance()
        ports.instances.create(instance)
        ports.instances.commit(changed(instance), audit=replace(full.AUDIT, target=instance.sid))
        ports.access.set_queue_flag(
            full.ACCOUNT, Flag(is_paused=True), audit=replace(full.AUDIT, target="queue")
        )
        ports.operations.create(full.BULK, audit=replace(full.AUDIT, target=full.BULK.sid))
        ports.strategies.create(full.HEAD, {"schedule": {}})
        ports.strategies.relabel(full.HEAD, before=full.HEAD, audit=replace(full.AUDIT, target=full.HEAD.sid))
        ports.webhooks.put(full.WEBHOOK, secret="whsec", audit=replace(full.AUDIT, target="webhook"))

        items = boto3.client("dynamodb").scan(TableName=bootstrap.settings().tables.audit)["Items"]

        end = int((full.AUDIT.at + timedelta(days=365)).timestamp())
        assert [item[EXPIRY["audit"]]["N"] for item in items] == [str(end)] * 5


class TestFailures:
    """Lambda learns from which record a batch must be repeated."""

    def test_an_unavailable_store_is_reported_with_its_position(
        self, clients: list[Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        instance = closed(1, 2, 3)
        records = expired(until=END + KEPT)
        throttled = [False, True, True, True, True, False, False]

        def reply(operation: str, _: bytes) -> HttpReply | None:
            return throttling() if operation == "BatchWriteItem" and throttled.pop(0) else None

        (client,) = clients
        client.api.timing = PROMPT
        client.api.transport = Instead(client.api.transport, reply)

        assert handled(records) == {"batchItemFailures": [{"itemIdentifier": f"{2:021}"}]}
        (line,) = [r.__dict__ for r in caplog.records if r.message == "expiry not finished"]
        assert (line["events"], line["items"], line["why"]) == (
            1,
            3,
            "dynamodb: ThrottlingException (HTTP 400)",
        )
        assert len(history(instance, 3).entries) == 2
        assert handled(records[1:]) == {"batchItemFailures": []}
        assert [history(instance, seq) for seq in (1, 2, 3)] == [EventHistory()] * 3

    def test_the_sample_puts_a_record_of_an_unknown_instance_back(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        sample = json.loads((ROOT / "events" / "expirer.json").read_text())

        assert handled(sample["Records"]) == {"batchItemFailures": []}
        (line,) = [r.__dict__ for r in caplog.records if r.message == "expired record put back"]
        assert line["why"] == "unknown"
