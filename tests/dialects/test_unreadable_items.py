"""A list names the items that it cannot read, and shows the others.

An item cannot be read, for example, after a rollback: a newer version of the code wrote it.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from shared import bootstrap
from shared.adapters.dynamodb.tables import record_key
from tests.dialects.town import AUTOMATION, BASIC, DEFINITION, SETTINGS, WRITES, Town, a_town, readings
from tests.engines import DynamoDb, on_dynamodb

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

HEADER = "X-Ritornello-Unreadable"
NEWER = "an item has schema 99 instead of 1"


@dataclass
class Rollback:
    """A town some of whose items were written by a newer version of the code."""

    town: Town
    dynamodb: DynamoDb

    def spoil(self, table: str, **key: str) -> None:
        """Raise the schema number of one item."""
        self.dynamodb.client.update_item(
            TableName=getattr(self.dynamodb.tables, table),
            Key={name: {"S": value} for name, value in key.items()},
            UpdateExpression="SET #schema = :newer",
            ConditionExpression="attribute_exists(#schema)",
            ExpressionAttributeNames={"#schema": "schema"},
            ExpressionAttributeValues={":newer": {"N": "99"}},
        )

    def started(self, strategy: str) -> str:
        status, answer = self.town.ask("POST", "/execution-instance", {"strategyId": strategy})
        assert status == 201, answer
        sid = str(answer["executionInstance"]["sid"])
        self.town.instances.append(sid)
        return sid

    def read_list(self, path: str) -> Any:
        status, answer = self.town.ask("GET", path)
        assert status == 200, answer
        return answer


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch, roto: DynamoDb) -> Iterator[Rollback]:
    town = a_town(monkeypatch, roto, 1)
    town.save_strategy()
    town.save_strategy()
    yield Rollback(town, roto)
    bootstrap.forget()


def pages_of(after: Rollback, path: str, *, limit: int) -> tuple[list[Any], list[Any]]:
    """Return all items of a list and all that it names as unreadable, page by page."""
    items: list[Any] = []
    unreadable: list[Any] = []
    cursor = ""
    for _ in range(50):
        answer = after.read_list(f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}")
        assert len(answer["items"]) + len(answer.get("unreadable", [])) <= limit
        items += answer["items"]
        unreadable += answer.get("unreadable", [])
        if "nextCursor" not in answer:
            return items, unreadable
        cursor = f"&cursor={answer['nextCursor']}"
    raise AssertionError("the list does not end")


class TestCore:
    """A page has ``unreadable`` beside ``items``; pages before and after it are complete."""

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    @pytest.mark.parametrize("by_strategy", [True, False])
    def test_unreadable_instances_are_named(self, after: Rollback, limit: int, by_strategy: bool) -> None:  # noqa: FBT001 - a parameter
        sids = [
            self.at(after, minute, lambda: after.started(after.town.strategies[0])) for minute in range(5)
        ]
        after.spoil("instances", sid=sids[2])
        path = "/execution-instance" + (f"?strategyId={after.town.strategies[0]}" if by_strategy else "")

        items, unreadable = pages_of(after, path, limit=limit)

        assert [item["sid"] for item in items] == [sids[4], sids[3], sids[1], sids[0]]
        assert unreadable == [{"id": sids[2], "why": NEWER}]

    @pytest.mark.parametrize("limit", [1, 2, 100])
    def test_unreadable_strategies_are_named(self, after: Rollback, limit: int) -> None:
        self.at(after, 1, after.town.save_strategy)
        first, second, third = after.town.strategies
        after.spoil("strategies", sid=second, sk="head")

        items, unreadable = pages_of(after, "/execution-strategy", limit=limit)

        assert {item["sid"] for item in items} == {first, third}
        assert unreadable == [{"id": second, "why": NEWER}]

    @pytest.mark.parametrize("limit", [1, 2, 100])
    def test_unreadable_versions_are_named(self, after: Rollback, limit: int) -> None:
        sid = after.town.strategies[0]
        for text in ("two", "three"):
            after.town.ask("PATCH", f"/execution-strategy/{sid}", {"settings": SETTINGS, "description": text})
        after.spoil("strategies", sid=sid, sk="v#00000002")

        items, unreadable = pages_of(after, f"/execution-strategy/{sid}/versions", limit=limit)

        assert [item["version"] for item in items] == [3, 1]
        assert unreadable == [{"id": "2", "why": NEWER}]

    @pytest.mark.parametrize("limit", [1, 2, 100])
    def test_unreadable_keys_are_named(self, after: Rollback, limit: int) -> None:
        made = [self.at(after, minute, lambda: self.new_key(after)) for minute in (1, 2)]
        after.spoil("access", pk=f"key#{made[1]}", sk="key")

        items, unreadable = pages_of(after, "/access-key", limit=limit)

        assert [item["keyId"] for item in items] == [made[0], "key-1"]
        assert unreadable == [{"id": made[1], "why": NEWER}]

    @pytest.mark.parametrize("limit", [1, 2, 100])
    def test_unreadable_bulk_operations_are_named(self, after: Rollback, limit: int) -> None:
        sid = after.started(after.town.strategies[0])
        body = {"selection": {"ids": [sid]}, "command": {"name": "pause"}}
        made = [
            self.at(after, minute, lambda: after.town.ask("POST", "/bulk-operation", body)[1]["sid"])
            for minute in (1, 2, 3)
        ]
        after.spoil("operations", sid=made[1])

        items, unreadable = pages_of(after, "/bulk-operation", limit=limit)

        assert [item["sid"] for item in items] == [made[2], made[0]]
        assert unreadable == [{"id": made[1], "why": NEWER}]

    @pytest.mark.parametrize("limit", [1, 2, 100])
    def test_unreadable_audit_entries_are_named(self, after: Rollback, limit: int) -> None:
        sid = after.started(after.town.strategies[0])
        for minute, name in enumerate(("pause", "resume", "pause")):
            self.at(
                after,
                minute + 1,
                partial(after.town.ask, "POST", f"/execution-instance/{sid}/{name}"),
            )
        items = after.dynamodb.admin.scan(TableName=after.dynamodb.tables.audit)["Items"]
        (resume,) = [item for item in items if json.loads(item["doc"]["S"])["command"] == "resume"]
        after.spoil("audit", accountDay=resume["accountDay"]["S"], sk=resume["sk"]["S"])

        items, unreadable = pages_of(after, f"/audit?target={sid}", limit=limit)

        assert [item["command"] for item in items] == ["pause", "pause", "create"]
        assert [item["why"] for item in unreadable] == [NEWER]
        assert sid in unreadable[0]["id"]

    @pytest.mark.parametrize("limit", [1, 2, 100])
    @pytest.mark.parametrize("part", ["record", "journal"])
    def test_unreadable_events_of_a_history_are_named(self, after: Rollback, limit: int, part: str) -> None:
        sid = after.started(after.town.strategies[0])
        for _ in range(12):
            after.town.work()
            after.town.ask("POST", f"/execution-instance/{sid}/resume")
        everything = pages_of(after, f"/execution-instance/{sid}/events", limit=100)[0]
        items = after.dynamodb.admin.scan(TableName=after.dynamodb.tables.events)["Items"]
        keys = sorted(
            item["sk"]["S"]
            for item in items
            if item["instanceSid"]["S"] == sid and (item["sk"]["S"][0] == "e") == (part == "record")
        )
        key = keys[len(keys) // 2]
        after.spoil("events", instanceSid=sid, sk=key)

        items, unreadable = pages_of(after, f"/execution-instance/{sid}/events", limit=limit)

        event = f"{sid}-{int(key.split('#')[1])}"
        assert unreadable == [{"id": event, "why": NEWER}]
        assert items == [item for item in everything if item["sid"] != event]

    @staticmethod
    def at(after: Rollback, minute: int, act: Callable[[], Any]) -> Any:
        """Act some minutes later than the last time."""
        after.town.ports.clock.at += timedelta(minutes=minute)
        return act()

    @staticmethod
    def new_key(after: Rollback) -> str:
        status, answer = after.town.ask("POST", "/access-key", {"role": "viewer"})
        assert status == 201
        return str(answer["keyId"])


def sid_of(after: Rollback, definition: str) -> str:
    """Return the sid of the strategy behind a definition."""
    heads = after.read_list("/execution-strategy")["items"]
    (sid,) = [head["sid"] for head in heads if head["name"] == definition]
    return str(sid)


class TestOtherDialects:
    """The answers of the other contracts have no place for unreadable items, so a header names the items left out."""

    def test_unreadable_workflows_are_named(self, after: Rollback) -> None:
        after.town.save_definition()
        (definition,) = after.town.definitions
        path = f"{AUTOMATION}/{definition}/workflows"
        one, other = (after.town.ask("POST", path, {})[1]["workflowId"] for _ in range(2))
        after.spoil("instances", sid=one)

        assert [flow["workflowId"] for flow in after.read_list(path)] == [other]
        assert after.town.headers[HEADER] == one

    @pytest.mark.parametrize("key", ["head", "v#00000001"])
    def test_unreadable_definitions_are_named(self, after: Rollback, key: str) -> None:
        after.town.save_definition()
        (one,) = after.town.definitions
        other = after.town.ask("POST", AUTOMATION, DEFINITION)[1]["id"]
        sid = sid_of(after, one)
        after.spoil("strategies", sid=sid, sk=key)

        assert [definition["id"] for definition in after.read_list(AUTOMATION)] == [other]
        assert after.town.headers[HEADER].startswith(sid)

    def test_unreadable_orders_are_named(self, after: Rollback) -> None:
        one, other = (after.started(after.town.strategies[0]) for _ in range(2))
        after.spoil("instances", sid=one)

        status, answer = after.town.joc("/orders", folders=[{"folder": "/de"}])

        assert (status, [order["orderId"] for order in answer["orders"]]) == (200, [other])
        assert after.town.headers[HEADER] == one

    def test_an_unreadable_run_of_an_order_is_named(self, after: Rollback) -> None:
        one, other = (after.started(after.town.strategies[0]) for _ in range(2))
        for _ in range(8):
            after.town.work()
            after.town.ask("POST", f"/execution-instance/{one}/resume")
            after.town.ask("POST", f"/execution-instance/{other}/resume")
        for sid in (one, other):
            after.town.ask("POST", f"/execution-instance/{sid}/cancel")
        everything = after.town.joc("/orders/history")[1]["history"]
        mine = [run for run in everything if run["orderId"] == one]
        assert mine
        assert len(mine) < len(everything)
        after.spoil("events", instanceSid=one, sk=record_key(int(mine[0]["historyId"].rpartition("-")[2])))

        status, answer = after.town.joc("/orders/history")

        assert (status, answer["history"]) == (200, [run for run in everything if run != mine[0]])
        assert after.town.headers[HEADER] == mine[0]["historyId"]

    def test_many_names_are_bounded(self, after: Rollback) -> None:
        sids = [after.started(after.town.strategies[0]) for _ in range(23)]
        for sid in sids:
            after.spoil("instances", sid=sid)

        assert after.town.joc("/orders", folders=[{"folder": "/de"}])[1]["orders"] == []

        named = after.town.headers[HEADER].split(", ")
        assert (len(named), named[-1]) == (21, "and 3 more")


class TestUnreadableSettings:
    """Only operations that return settings, or compute with them, need them. All others answer without them."""

    NEED_THEM = frozenset({"get_strategy", "get_version", "get_forecast"})

    def test_every_other_reading_operation_works(self, after: Rollback) -> None:
        town = after.town
        town.begin()
        for _ in range(40):
            town.rng.choice(WRITES)(town)
        for item in after.dynamodb.admin.scan(TableName=after.dynamodb.tables.strategies)["Items"]:
            if item["sk"]["S"].startswith("v#"):
                after.spoil("strategies", sid=item["sid"]["S"], sk=item["sk"]["S"])
        # New stores, because versions never change and are cached.
        town.ports.stores = on_dynamodb(after.dynamodb)

        for name, requests in readings(town):
            if name in self.NEED_THEM:
                continue
            for request in requests:
                if isinstance(request, str):
                    headers = BASIC if "/connector-" in request else None
                    status, found = town.ask("GET", request, headers=headers)
                    assert status in (200, 404), (name, request, found)
                else:
                    status, found = town.joc(request[0], **request[1])
                    assert status == 200, (name, request, found)


class TestTrigger:
    """A definition that cannot be read keeps no workflow of another one from being started."""

    def test_the_workflows_of_other_definitions_are_started(self, after: Rollback) -> None:
        first, broken, last = (after.town.ask("POST", AUTOMATION, DEFINITION)[1]["id"] for _ in range(3))
        after.spoil("strategies", sid=sid_of(after, broken), sk="v#00000001")

        with pytest.raises(AssertionError, match="500"):
            after.town.ask("POST", "/api/v1/accounts/a-1/triggers/http_request", {})

        for one in (first, last):
            assert len(after.read_list(f"{AUTOMATION}/{one}/workflows")) == 1
