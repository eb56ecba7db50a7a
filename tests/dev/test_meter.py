"""The costs of requests, computed from the requests."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from dev.aws import session_of
from dev.metering.meter import Meter, UnmeteredError, Usage
from shared.adapters.aws.client import MAX_ATTEMPTS
from shared.adapters.aws.errors import AwsError, UnansweredError
from shared.adapters.aws.services import Functions, Scheduler
from shared.adapters.dynamodb.client import PATIENCE
from shared.adapters.dynamodb.tables import Tables
from shared.application.ports import ConnectionLostError
from tests.adapters.http.replies import answers, fails, refused
from tests.engines import DynamoDb

KB = 1024


@pytest.fixture
def meter(moto: DynamoDb) -> Meter:
    meter = Meter(moto.tables)
    meter.watch(moto.client.api)
    return meter


@pytest.fixture
def usage(meter: Meter) -> Iterator[Usage]:
    with meter.counting() as usage:
        yield usage


def weighing(size: int, **keys: str) -> dict[str, Any]:
    """Return an item of exactly ``size`` bytes."""
    item = {name: {"S": value} for name, value in keys.items()}
    used = sum(len(name) + len(value) for name, value in keys.items())
    return {**item, "x": {"S": "x" * (size - used - 1)}}


def put(dynamodb: DynamoDb, item: dict[str, Any], table: str = "access", **condition: Any) -> None:
    dynamodb.client.put_item(TableName=getattr(dynamodb.tables, table), Item=item, **condition)


def get(dynamodb: DynamoDb, *, strong: bool, **keys: str) -> None:
    key = {name: {"S": value} for name, value in keys.items()}
    dynamodb.client.get_item(TableName=dynamodb.tables.access, Key=key, ConsistentRead=strong)


def update(text: str = "x", **more: Any) -> dict[str, Any]:
    """Return an update of an item of the table of access."""
    return {
        "Key": {"pk": {"S": "a"}, "sk": {"S": "b"}},
        "UpdateExpression": "SET x = :x",
        "ExpressionAttributeValues": {":x": {"S": text}},
        **more,
    }


class TestWrites:
    """A write costs one unit for each kilobyte begun, of the larger of the old and the new item."""

    @pytest.mark.parametrize(("size", "units"), [(512, 1), (KB, 1), (1536, 2), (2 * KB, 2), (2 * KB + 1, 3)])
    def test_a_put_costs_one_unit_for_each_kilobyte(
        self, moto: DynamoDb, usage: Usage, size: int, units: int
    ) -> None:
        put(moto, weighing(size, pk="a", sk="b"))
        assert usage.write_units == units

    def test_a_put_over_a_larger_item_costs_the_larger(self, moto: DynamoDb, meter: Meter) -> None:
        put(moto, weighing(3 * KB, pk="a", sk="b"))
        with meter.counting() as usage:
            put(moto, weighing(KB, pk="a", sk="b"))
        with meter.counting() as later:
            put(moto, weighing(KB, pk="a", sk="b"))
        assert (usage.write_units, later.write_units) == (3, 1)

    def test_a_put_whose_condition_fails_costs_the_larger(self, moto: DynamoDb, meter: Meter) -> None:
        put(moto, weighing(3 * KB, pk="a", sk="b"))
        with meter.counting() as usage, pytest.raises(AwsError):
            put(moto, weighing(KB, pk="a", sk="b"), ConditionExpression="attribute_not_exists(pk)")
        assert usage.write_units == 3

    def test_an_update_of_a_small_item_costs_one_unit(self, moto: DynamoDb, meter: Meter) -> None:
        for text in ("x", "y" * 700, "z"):
            with meter.counting() as usage:
                moto.client.update_item(TableName=moto.tables.access, **update(text))
            assert usage.write_units == 1

    def test_an_update_whose_condition_fails_costs_one_unit(self, moto: DynamoDb, meter: Meter) -> None:
        with meter.counting() as usage, pytest.raises(AwsError):
            moto.client.update_item(
                TableName=moto.tables.access, **update(ConditionExpression="attribute_exists(pk)")
            )
        assert usage.write_units == 1

    def test_an_update_that_is_refused_otherwise_costs_nothing(self, moto: DynamoDb, meter: Meter) -> None:
        with meter.counting() as usage, pytest.raises(AwsError):
            moto.client.update_item(TableName=moto.tables.access, **update(UpdateExpression="SET"))
        assert usage.write_units == 0

    def test_a_delete_costs_the_size_of_the_item(self, moto: DynamoDb, meter: Meter) -> None:
        put(moto, weighing(3 * KB, pk="a", sk="b"))
        key = {"pk": {"S": "a"}, "sk": {"S": "b"}}
        with meter.counting() as usage:
            moto.client.delete_item(TableName=moto.tables.access, Key=key)
        with meter.counting() as again:
            moto.client.delete_item(TableName=moto.tables.access, Key=key)
        assert (usage.write_units, again.write_units) == (3, 1)

    def test_a_delete_whose_condition_fails_costs_the_item(self, moto: DynamoDb, meter: Meter) -> None:
        put(moto, weighing(3 * KB, pk="a", sk="b"))
        key = {"pk": {"S": "a"}, "sk": {"S": "b"}}
        with meter.counting() as usage, pytest.raises(AwsError):
            moto.client.delete_item(
                TableName=moto.tables.access, Key=key, ConditionExpression="attribute_not_exists(pk)"
            )
        assert usage.write_units == 3

    def test_a_request_that_is_refused_otherwise_costs_nothing(self, moto: DynamoDb, usage: Usage) -> None:
        answers(moto.client.api, refused("ValidationException"))
        key = {"pk": {"S": "a"}, "sk": {"S": "b"}}
        with pytest.raises(AwsError):
            put(moto, weighing(KB, pk="a", sk="b"))
        with pytest.raises(AwsError):
            moto.client.delete_item(TableName=moto.tables.access, Key=key)
        with pytest.raises(AwsError):
            get(moto, strong=True, pk="a", sk="b")
        assert (usage.write_units, usage.read_units) == (0, 0)


class TestIndexes:
    """A new or removed index entry costs a unit, a moved entry two, an unchanged one none."""

    def instance(self, at: str | None, status: str = "ACTIVE") -> dict[str, Any]:
        sweep = {} if at is None else {"sweepPartition": "1", "sweepAt": at}
        return weighing(500, sid="i", strategyPhase=f"s#{status}", createdSid="c", ownerShard="a#1", **sweep)

    @pytest.mark.parametrize(
        ("before", "after", "units"),
        [
            ((None, "ACTIVE"), (None, "ACTIVE"), 1),
            ((None, "ACTIVE"), ("t1", "ACTIVE"), 2),
            (("t1", "ACTIVE"), ("t1", "ACTIVE"), 1),
            (("t1", "ACTIVE"), ("t2", "ACTIVE"), 3),
            (("t1", "ACTIVE"), (None, "ACTIVE"), 2),
            (("t1", "ACTIVE"), (None, "PAUSED"), 4),
        ],
    )
    def test_a_changed_index_entry_costs_units(
        self, moto: DynamoDb, meter: Meter, before: tuple[Any, str], after: tuple[Any, str], units: int
    ) -> None:
        put(moto, self.instance(*before), "instances")
        with meter.counting() as usage:
            put(moto, self.instance(*after), "instances")
        assert usage.write_units == units

    def test_a_new_item_enters_each_index_it_has_the_keys_of(self, moto: DynamoDb, usage: Usage) -> None:
        put(moto, self.instance("t1"), "instances")
        assert usage.write_units == 1 + 3

    def test_a_delete_costs_a_unit_in_each_index(self, moto: DynamoDb, meter: Meter) -> None:
        put(moto, self.instance("t1"), "instances")
        with meter.counting() as usage:
            moto.client.delete_item(TableName=moto.tables.instances, Key={"sid": {"S": "i"}})
        assert usage.write_units == 1 + 3

    def test_a_refused_put_costs_nothing_in_indexes(self, moto: DynamoDb, usage: Usage) -> None:
        with pytest.raises(AwsError):
            put(moto, self.instance("t1"), "instances", ConditionExpression="attribute_exists(sid)")
        assert usage.write_units == 1


class TestTransactions:
    """Items of a transaction are written twice, index entries once."""

    def test_each_item_is_rounded_up_and_doubled(self, moto: DynamoDb, usage: Usage) -> None:
        """AWS's example: a transaction that writes items of 500 bytes costs two units for each."""
        items = [weighing(size, pk=pk, sk="b") for pk, size in (("a", 500), ("b", 500), ("c", 1500))]
        writes = [{"Put": {"TableName": moto.tables.access, "Item": item}} for item in items]
        moto.client.transact_write_items(TransactItems=writes)
        assert usage.write_units == 2 + 2 + 4

    def test_index_entries_are_not_doubled(self, moto: DynamoDb, usage: Usage) -> None:
        item = weighing(500, instanceSid="i", sk="e#1", accountMonth="a#1", finishedAt="t")
        moto.client.transact_write_items(
            TransactItems=[{"Put": {"TableName": moto.tables.events, "Item": item}}]
        )
        assert usage.write_units == 2 + 1

    def test_deletes_and_checks_count_as_writes(self, moto: DynamoDb, meter: Meter) -> None:
        put(moto, weighing(1500, pk="a", sk="b"))
        put(moto, weighing(1500, pk="c", sk="d"))
        table = moto.tables.access
        with meter.counting() as usage:
            moto.client.transact_write_items(
                TransactItems=[
                    {"Delete": {"TableName": table, "Key": {"pk": {"S": "a"}, "sk": {"S": "b"}}}},
                    {
                        "ConditionCheck": {
                            "TableName": table,
                            "Key": {"pk": {"S": "c"}, "sk": {"S": "d"}},
                            "ConditionExpression": "attribute_exists(pk)",
                        }
                    },
                ]
            )
        assert usage.write_units == 4 + 4

    def test_a_refused_transaction_is_charged_and_changes_nothing(self, moto: DynamoDb, meter: Meter) -> None:
        item = weighing(500, instanceSid="i", sk="e#1", accountMonth="a#1", finishedAt="t")
        forbidden = {
            "TableName": moto.tables.events,
            "Item": item,
            "ConditionExpression": "attribute_exists(sk)",
        }
        with meter.counting() as usage, pytest.raises(AwsError):
            moto.client.transact_write_items(TransactItems=[{"Put": forbidden}])
        with meter.counting() as later:
            put(moto, item, "events")
        assert (usage.write_units, later.write_units) == (2, 2)


class TestReads:
    """A read costs one unit for each four kilobytes begun, or half if it may be stale."""

    @pytest.mark.parametrize(("strong", "units"), [(True, 3), (False, 1.5)])
    def test_a_get_costs_units_by_size(
        self, moto: DynamoDb, meter: Meter, *, strong: bool, units: float
    ) -> None:
        put(moto, weighing(10 * KB, pk="a", sk="b"))
        with meter.counting() as usage:
            get(moto, strong=strong, pk="a", sk="b")
        assert usage.read_units == units

    @pytest.mark.parametrize(("strong", "units"), [(True, 1), (False, 0.5)])
    def test_a_get_of_a_missing_item_costs_a_unit(
        self, moto: DynamoDb, usage: Usage, *, strong: bool, units: float
    ) -> None:
        get(moto, strong=strong, pk="a", sk="b")
        assert usage.read_units == units

    @pytest.mark.parametrize(("strong", "units"), [(True, 4), (False, 2)])
    def test_a_query_rounds_all_items_together(
        self, moto: DynamoDb, meter: Meter, *, strong: bool, units: float
    ) -> None:
        for number in range(10):
            put(moto, weighing(1500, pk="a", sk=f"{number}"))
        with meter.counting() as usage:
            moto.client.query(
                TableName=moto.tables.access,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": "a"}},
                ConsistentRead=strong,
            )
        assert usage.read_units == units

    def test_a_batch_rounds_each_item(self, moto: DynamoDb, meter: Meter) -> None:
        """AWS's example: 1.5 KB and 6.5 KB are 4 + 8 KB: three units."""
        put(moto, weighing(1536, pk="a", sk="b"))
        put(moto, weighing(6656, pk="c", sk="d"))
        keys = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in ("ab", "cd", "ef")]
        table = moto.tables.access
        with meter.counting() as usage:
            moto.client.batch_get_item(RequestItems={table: {"Keys": keys[:2], "ConsistentRead": True}})
        with meter.counting() as with_an_absent_one:
            moto.client.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
        assert (usage.read_units, with_an_absent_one.read_units) == (3, 4)

    def test_items_left_unread_cost_nothing(self, moto: DynamoDb, usage: Usage) -> None:
        key = {"pk": {"S": "a"}, "sk": {"S": "b"}}
        left = {moto.tables.access: {"Keys": [key]}}
        answers(moto.client.api, (200, {"Responses": {}, "UnprocessedKeys": left}))
        moto.client.batch_get_item(RequestItems=left)
        assert usage.read_units == 0

    def test_a_transaction_reads_twice(self, moto: DynamoDb, meter: Meter) -> None:
        put(moto, weighing(5 * KB, pk="a", sk="b"))
        key = {"pk": {"S": "a"}, "sk": {"S": "b"}}
        with meter.counting() as usage:
            moto.client.transact_get_items(
                TransactItems=[{"Get": {"TableName": moto.tables.access, "Key": key}}]
            )
        assert usage.read_units == 4


class TestCalls:
    """Every request counts as a call, and every attempt as a trip."""

    def test_calls_of_dynamodb_are_counted(self, moto: DynamoDb, usage: Usage) -> None:
        get(moto, strong=True, pk="a", sk="b")
        get(moto, strong=True, pk="a", sk="b")
        put(moto, weighing(100, pk="a", sk="b"))
        assert usage.calls == {"dynamodb.GetItem": 2, "dynamodb.PutItem": 1}
        assert usage.trips == {"dynamodb": 3}

    def test_calls_of_other_services_are_counted(
        self, session: boto3.Session, meter: Meter, usage: Usage
    ) -> None:
        made = session_of(session)
        scheduler, invoker = (made.client(name, patience=PATIENCE) for name in ("scheduler", "lambda"))
        for client in (scheduler, invoker):
            meter.watch(client)
            answers(client, (200, {}))
        Scheduler(scheduler).create_schedule("i-1-1-1", {})
        Functions(invoker).invoke_later("runner", {})
        assert usage.calls == {"scheduler.CreateSchedule": 1, "lambda.Invoke": 1}
        assert usage.trips == {"scheduler": 1, "lambda": 1}
        assert (usage.read_units, usage.write_units) == (0, 0)

    def test_repeats_are_trips_of_the_same_call(self, moto: DynamoDb, usage: Usage) -> None:
        answers(moto.client.api, refused("TransactionConflictException"), (200, {}))
        put(moto, weighing(100, pk="a", sk="b"))
        assert usage.calls == {"dynamodb.PutItem": 1}
        assert usage.trips == {"dynamodb": 2}
        assert usage.write_units == 1

    def test_a_call_that_nothing_answers_is_a_trip_only(self, moto: DynamoDb, usage: Usage) -> None:
        fails(moto.client.api, UnansweredError("lost"))
        with pytest.raises(ConnectionLostError):
            put(moto, weighing(100, pk="a", sk="b"))
        assert (usage.calls, usage.trips) == ({}, {"dynamodb": MAX_ATTEMPTS})

    def test_the_total_includes_all_requests(self, moto: DynamoDb, meter: Meter) -> None:
        with meter.counting() as first:
            put(moto, weighing(100, pk="a", sk="b"))
        put(moto, weighing(100, pk="a", sk="b"))
        assert (first.write_units, meter.total.write_units) == (1, 2)


class TestWhatItCannotCount:
    """A request whose cost is unknown raises an error."""

    @pytest.mark.parametrize(
        ("operation", "request_"),
        [
            ("update_item", update("x" * KB)),
            (
                "query",
                {
                    "KeyConditionExpression": "pk = :pk",
                    "ExpressionAttributeValues": {":pk": {"S": "a"}},
                    "ProjectionExpression": "pk",
                },
            ),
        ],
    )
    def test_an_unsupported_request_is_refused(
        self, moto: DynamoDb, meter: Meter, operation: str, request_: dict[str, Any]
    ) -> None:
        assert meter.total.write_units == 0
        with pytest.raises(UnmeteredError):
            getattr(moto.client, operation)(TableName=moto.tables.access, **request_)

    def test_an_update_of_a_large_item_is_refused(self, moto: DynamoDb, meter: Meter) -> None:
        assert meter.total.write_units == 0
        put(moto, weighing(KB, pk="a", sk="b"))
        with pytest.raises(UnmeteredError, match="UpdateItem"):
            moto.client.update_item(TableName=moto.tables.access, **update())

    def test_an_update_of_an_indexed_item_is_refused(self, moto: DynamoDb, meter: Meter) -> None:
        assert meter.total.write_units == 0
        with pytest.raises(UnmeteredError, match="UpdateItem"):
            moto.client.update_item(TableName=moto.tables.instances, **update(Key={"sid": {"S": "i-1"}}))

    def test_an_update_in_a_transaction_is_refused(self, moto: DynamoDb, meter: Meter) -> None:
        assert meter.total.write_units == 0
        key = {"pk": {"S": "a"}, "sk": {"S": "b"}}
        update = {"TableName": moto.tables.access, "Key": key, "UpdateExpression": "REMOVE x"}
        with pytest.raises(UnmeteredError, match="Update"):
            moto.client.transact_write_items(TransactItems=[{"Update": update}])

    def test_an_unknown_table_is_refused(self, moto: DynamoDb) -> None:
        Meter(Tables()).watch(moto.client.api)
        with pytest.raises(UnmeteredError, match="unknown table"):
            put(moto, weighing(100, pk="a", sk="b"))
