"""Stored settings keep their meaning, and messages of an earlier release are understood.

Source: docs/decisions/0051-what-is-stored-outlives-a-release.md.
"""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from shared.adapters.delivery_queue import delivery_of
from shared.adapters.dynamodb.documents import READABLE, SCHEMA
from shared.adapters.dynamodb.streams import stream_record
from shared.adapters.dynamodb.tables import Tables
from shared.application.webhooks import Delivery
from shared.domain.notifications.model import HeadWrite, InstanceWrite, NotificationKind, OperationWrite
from tests.engines import DynamoDb
from tests.golden import operations, strategies
from tests.golden.catalogue import GOLDENS
from tests.golden.documents import DOCUMENTS, Document, absent_members, changes, loaded_definition, plain
from tests.golden.files import document_in, empty, items_in, put_items
from tests.golden.golden import ACCOUNT
from tests.golden.instances import NEW, Found

HELP = "CONTRIBUTING.md, 'Change what is stored', says how."


class TestSettings:
    """Stored settings keep their meaning: if a default changed, the plans of running instances would change."""

    @pytest.mark.parametrize("schema", READABLE)
    @pytest.mark.parametrize(
        ("strategy", "version", "definition"),
        [("new", 1, "minimal"), ("second-version", 2, "full"), ("sparse", 1, "sparse")],
    )
    def test_stored_settings_keep_their_meaning(
        self, schema: int, strategy: str, version: int, definition: str, dynamodb: DynamoDb
    ) -> None:
        empty(dynamodb)
        put_items(dynamodb, items_in(schema, f"strategies/{strategy}"))

        today = plain(loaded_definition(dynamodb, version))

        golden = document_in(schema, f"definitions/{definition}")
        assert changes(golden, today) == [], f"Settings that are stored changed. {HELP}"


class TestAbsentMembers:
    """If an earlier release did not write a member, its absence keeps the meaning that it had then."""

    @pytest.mark.parametrize("schema", READABLE)
    def test_an_absent_member_keeps_its_value(self, schema: int) -> None:
        golden = document_in(schema, "definitions/absent-members")

        assert golden["documents.EVENT"]["run"] == 1
        assert golden["documents.EVENT"]["kind"] == "MAIN"
        assert changes(golden, absent_members()) == [], f"Absent members are read as other values. {HELP}"


class TestMessages:
    """Schedules, invocations, queued messages and stream records keep their members, and today's code reads them."""

    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
    def test_a_document_is_written_with_its_golden_members(self, document: Document) -> None:
        assert changes(document_in(SCHEMA, document.name), document.write()) == [], HELP

    @pytest.mark.parametrize("schema", READABLE)
    def test_a_message_to_a_webhook_is_understood(self, schema: int) -> None:
        body = json.dumps(document_in(schema, "messages/delivery"))

        delivery = delivery_of(body)

        assert delivery == Delivery(account_id=ACCOUNT, message=delivery.message)
        assert delivery.message["kind"] == NotificationKind.INSTANCE_CREATED.value
        assert (delivery.message["instanceSid"], delivery.message["id"]) == (
            NEW.sid,
            f"{NEW.sid}-0-instance.created",
        )

    @pytest.mark.parametrize("schema", READABLE)
    def test_a_record_of_a_stream_is_understood(self, schema: int) -> None:
        (paused,) = (golden.value for golden in GOLDENS if golden.name == "instances/paused-by-operator")
        assert isinstance(paused, Found)
        assert paused.instance is not None
        completed = next(g.value for g in GOLDENS if g.name == "operations/bulk-completed")
        assert isinstance(completed, dict)

        assert streamed(schema, "instance") == InstanceWrite(before=NEW, after=paused.instance)
        assert streamed(schema, "operation") == OperationWrite(before=operations.NEW, after=completed["load"])
        assert streamed(schema, "strategy") == HeadWrite(before=None, after=strategies.HEAD)


def streamed(schema: int, name: str) -> object:
    record: Any = document_in(schema, f"messages/stream-{name}")
    return stream_record(record, Tables()).write


class TestChanges:
    """A member may be added to a document. If a member is gone or has another value, it is reported."""

    @pytest.mark.parametrize(
        ("today", "expected"),
        [
            ({"times": 3, "tags": [1, {"a": 2}]}, []),
            ({"times": 3, "tags": [1, {"a": 2, "new": 0}], "more": True}, []),
            ({"times": 4, "tags": [1, {"a": 2}]}, ["/times was 3 and is 4"]),
            ({"tags": [1, {"a": 2}]}, ["/times is gone"]),
            ({"times": 3, "tags": [1, {"a": None}]}, ["/tags/1/a was 2 and is None"]),
            ({"times": 3, "tags": [1]}, ["/tags was [1, {'a': 2}] and is [1]"]),
        ],
    )
    def test_a_change_is_named_by_its_place(self, today: dict[str, Any], expected: list[str]) -> None:
        assert changes({"times": 3, "tags": [1, {"a": 2}]}, today) == expected

    def test_a_changed_default_is_a_change(self, dynamodb: DynamoDb) -> None:
        empty(dynamodb)
        put_items(dynamodb, items_in(1, "strategies/new"))
        definition = loaded_definition(dynamodb, 1)
        service = definition.services["billing"]
        slower = replace(service, methods={"charge": replace(service.methods["charge"], timeout_seconds=60)})
        today = plain(replace(definition, services={"billing": slower}))

        assert changes(document_in(1, "definitions/minimal"), today) == [
            "/services/billing/methods/charge/timeout_seconds was 30 and is 60"
        ]
