"""Stream records as Lambda delivers them, read back as writes. Source: docs/events.md."""

from typing import Any

import pytest
from msgspec.structs import replace

from dev.stream_records import record_of as stream_of
from shared.adapters.dynamodb.items import bulk_item, instance_item, release_job_item
from shared.adapters.dynamodb.streams import DynamoDbRecords, stream_record
from shared.adapters.dynamodb.tables import LAYOUTS, Tables
from shared.application.ports import Unreadable
from shared.domain.ids import InstanceSid
from shared.domain.notifications.model import (
    HeadWrite,
    InstanceWrite,
    OperationWrite,
    StoredWrite,
    VersionWrite,
)
from tests.engines import DynamoDb, on_dynamodb
from tests.full import AUDIT, BULK, DRAIN, HEAD, INSTANCE, RECORD

TABLES = Tables()
NEXT = replace(INSTANCE, rev=22)


def read(table: str, before: Any, after: Any) -> StoredWrite | Unreadable[str] | None:
    return stream_record(stream_of(table, LAYOUTS[table].key, before, after, number=7), TABLES).write


class TestInstances:
    """Both images are read; every field survives."""

    def test_a_change_has_both_images(self) -> None:
        found = read("instances", instance_item(INSTANCE), instance_item(NEXT))

        assert found == InstanceWrite(before=INSTANCE, after=NEXT)

    def test_a_creation_has_no_image_before(self) -> None:
        assert read("instances", None, instance_item(NEXT)) == InstanceWrite(before=None, after=NEXT)

    def test_a_deletion_is_no_write(self) -> None:
        assert read("instances", instance_item(NEXT), None) is None

    def test_position_and_source_are_kept(self) -> None:
        source = stream_of("instances", ("sid",), None, instance_item(NEXT), number=7)

        found = stream_record(source, TABLES)

        assert (found.position, found.source) == ("000000000000000000007", source)

    @pytest.mark.parametrize("broken", [{"schema": {"N": "9"}}, {"doc": {"S": "{"}}, {"rev": {"B": "x"}}])
    @pytest.mark.parametrize("which", ["before", "after"])
    def test_an_unknown_shape_is_unreadable(self, broken: dict[str, Any], which: str) -> None:
        images = {"before": instance_item(INSTANCE), "after": instance_item(NEXT)}
        images[which] = {**images[which], **broken}

        found = read("instances", images["before"], images["after"])

        assert isinstance(found, Unreadable)
        assert found.key == "000000000000000000007"
        assert found.why

    def test_another_table_is_unreadable(self) -> None:
        found = read("audit", None, {"accountDay": {"S": "a"}, "sk": {"S": "b"}})

        assert found == Unreadable(
            key="000000000000000000007",
            why="a record of the table audit, which is none of the publisher's",
        )


class TestStrategies:
    """Versions are published when they are written; heads have the flag; names are nothing."""

    @pytest.fixture
    def items(self, moto: DynamoDb) -> dict[str, Any]:
        """Return the items of a new strategy by sort key, as the store writes them."""
        head = replace(HEAD, deleted_at=None)
        on_dynamodb(moto).strategies.create(head, {"schedule": {}})
        found = moto.admin.scan(TableName=moto.tables.strategies)["Items"]
        return {item["sk"]["S"].split("#")[0]: item for item in found}

    def test_a_new_version_is_published_with_its_name_and_without_its_settings(
        self, items: dict[str, Any]
    ) -> None:
        found = read("strategies", None, items["v"])

        assert isinstance(found, VersionWrite)
        assert (found.account_id, found.name, found.version.version) == ("acme", HEAD.name, 1)

    def test_a_version_that_is_written_again_is_not(self, items: dict[str, Any]) -> None:
        assert read("strategies", items["v"], items["v"]) is None

    def test_a_name_is_nothing(self, items: dict[str, Any]) -> None:
        assert read("strategies", None, items["name"]) is None

    def test_a_head_has_both_images(self, items: dict[str, Any]) -> None:
        head = replace(HEAD, deleted_at=None)
        running = {**items["head"], "paused": {"BOOL": False}}

        assert read("strategies", running, items["head"]) == HeadWrite(
            before=replace(head, is_paused=False), after=head
        )
        assert read("strategies", None, items["head"]) == HeadWrite(before=None, after=head)


class TestOperations:
    """Bulk operations are read; release jobs are the engine's own work."""

    def test_a_bulk_operation_has_both_images(self) -> None:
        after = replace(BULK, rev=18)

        assert read("operations", bulk_item(BULK), bulk_item(after)) == OperationWrite(
            before=BULK, after=after
        )
        assert read("operations", None, bulk_item(after)) == OperationWrite(before=None, after=after)

    def test_a_release_job_is_nothing(self) -> None:
        assert read("operations", None, release_job_item(DRAIN)) is None


class TestRecords:
    """Records of closed events are read together."""

    def test_records_that_exist_are_found(self, moto: DynamoDb) -> None:
        stores = on_dynamodb(moto)
        stores.instances.create(replace(INSTANCE, rev=1), records=[RECORD], audit=AUDIT)
        reader = DynamoDbRecords(client=moto.client, tables=moto.tables)

        found = reader.records_of({(INSTANCE.sid, 7), (INSTANCE.sid, 8), (InstanceSid("other"), 7)})

        assert found == {(INSTANCE.sid, 7): RECORD}

    def test_an_unreadable_record_is_named(self, moto: DynamoDb) -> None:
        stores = on_dynamodb(moto)
        stores.instances.create(replace(INSTANCE, rev=1), records=[RECORD], audit=AUDIT)
        moto.client.update_item(
            TableName=moto.tables.events,
            Key={"instanceSid": {"S": INSTANCE.sid}, "sk": {"S": "e#00000007"}},
            UpdateExpression="SET #s = :nine",
            ExpressionAttributeNames={"#s": "schema"},
            ExpressionAttributeValues={":nine": {"N": "9"}},
        )

        found = DynamoDbRecords(client=moto.client, tables=moto.tables).records_of({(INSTANCE.sid, 7)})

        assert found == {
            (INSTANCE.sid, 7): Unreadable(
                key=(INSTANCE.sid, 7), why="an item has schema 9 instead of 1", account_id=INSTANCE.account_id
            )
        }
