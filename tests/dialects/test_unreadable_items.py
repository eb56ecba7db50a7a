"""A list names the items that it cannot read, and shows the others.

An item cannot be read, for example, after a rollback: a newer version of the code wrote it.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from shared import bootstrap
from shared.adapters.dynamodb.tables import LAYOUTS, event_number, is_answer_key, is_record_key, record_key
from shared.application.ports import all_readable
from shared.application.runner.loop import run_due_events
from shared.domain.ids import InstanceSid, StrategySid, event_of_correlation, event_sid
from shared.domain.instance.model import Instance
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from tests.dialects.town import (
    ACCOUNT,
    AUTOMATION,
    BASIC,
    DEFINITION,
    LEFT,
    PROCESS,
    SECRET,
    SETTINGS,
    WRITES,
    Town,
    a_town,
    readings,
)
from tests.engines import DynamoDb, on_dynamodb

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

HEADER = "X-Ritornello-Unreadable"
NEWER = "an item has schema 99 instead of 1"


class Shop:
    """A service that accepts every request."""

    def call(self, _: ServiceRequest) -> CallOutcome:
        return Answered(status=200, body={})


@dataclass
class Rollback:
    """A town some of whose items were written by a newer version of the code."""

    town: Town
    dynamodb: DynamoDb

    def spoil(self, table: str, **key: str) -> None:
        """Raise the schema number of one item."""
        self.set_schema("99", table, **key)

    def mend(self, table: str, **key: str) -> None:
        """Set the schema number of one item to what it was."""
        self.set_schema("1", table, **key)

    def set_schema(self, schema: str, table: str, **key: str) -> None:
        self.dynamodb.client.update_item(
            TableName=getattr(self.dynamodb.tables, table),
            Key={name: {"S": value} for name, value in key.items()},
            UpdateExpression="SET #schema = :newer",
            ConditionExpression="attribute_exists(#schema)",
            ExpressionAttributeNames={"#schema": "schema"},
            ExpressionAttributeValues={":newer": {"N": schema}},
        )

    def started(self, strategy: str) -> str:
        status, answer = self.town.ask("POST", "/execution-instance", {"strategyId": strategy})
        assert status == 201, answer
        sid = str(answer["executionInstance"]["sid"])
        self.town.instances.append(sid)
        return sid

    def answered(self) -> str:
        """Return the sid of an open event of a new instance, with journal entries and an answer that is stored."""
        town = self.town
        for _ in range(50):
            sid, known = self.started(town.strategies[0]), len(town.correlations)
            town.ports.clock.at += timedelta(hours=25)
            run_due_events(town.ports, InstanceSid(sid), job="job-1", time_left=lambda: LEFT)
            if len(town.correlations) > known:
                correlation = town.correlations[-1]
                status, _ = town.ask("POST", f"/execution-event/{correlation}/resume", {"ok": True})
                # The call may have failed, so that it awaits no answer.
                if status == 200:
                    return event_of_correlation(correlation)
        raise AssertionError("no call was answered")

    def save_simple(self) -> None:
        """Store the strategy ``simple``, all of whose runs succeed."""
        tasks = [{"key": "charge", "initialStep": "pay", "steps": [{"key": "pay", "action": "pay"}]}]
        settings = {**SETTINGS, "tasks": [*tasks, SETTINGS["tasks"][1]]}
        body = {"name": "simple", "secret": SECRET, "settings": settings, "folder": "/de"}
        self.town.strategies.append(self.town.ask("POST", "/execution-strategy", body)[1]["sid"])
        self.town.ports.caller = Shop()

    def run(self, sid: str, days: int) -> None:
        """Run what is due on each of some days."""
        for _ in range(days):
            self.town.ports.clock.at += timedelta(days=1)
            run_due_events(self.town.ports, InstanceSid(sid), job="job-1", time_left=lambda: LEFT)

    def ran(self) -> str:
        """Return an instance that has run three times, and will run again."""
        self.save_simple()
        sid = self.started(self.town.strategies[-1])
        self.run(sid, 3)
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

    def test_unreadable_strategies_of_the_overview_are_named(self, after: Rollback) -> None:
        first, second = after.town.strategies
        before = after.read_list("/overview")
        after.spoil("strategies", sid=second, sk="head")

        answer = after.read_list("/overview")

        assert [one["sid"] for one in answer["strategies"]] == [first]
        assert answer["unreadable"] == [{"id": second, "why": NEWER}]
        assert "unreadable" not in before
        assert answer["phases"] == before["phases"]

    def test_an_unreadable_instance_that_is_late_is_named_among_problems(self, after: Rollback) -> None:
        one = after.started(after.town.strategies[0])
        after.town.ports.clock.at += timedelta(days=2)
        assert [item["kind"] for item in after.read_list("/problems")["items"]] == ["LATE"]
        after.spoil("instances", sid=one)

        assert after.read_list("/problems") == {"items": [], "unreadable": [{"id": one, "why": NEWER}]}

    def test_an_unreadable_open_event_is_named_in_a_header(self, after: Rollback) -> None:
        event = after.answered()
        sid = event.rpartition("-")[0]
        before = after.read_list(f"/execution-instance/{sid}/get-tasks")
        self.spoil_answer(after, event)

        answer = after.read_list(f"/execution-instance/{sid}/get-tasks")

        assert answer == [one for one in before if one["sid"] != event]
        assert len(answer) == len(before) - 1
        assert after.town.headers[HEADER] == event

    def test_an_explanation_names_an_unreadable_event(self, after: Rollback) -> None:
        event = after.answered()
        sid = event.rpartition("-")[0]
        before = after.read_list(f"/execution-instance/{sid}/explain")
        assert event in [one["sid"] for one in before["events"]]
        assert "unreadable" not in before
        self.spoil_answer(after, event)

        answer = after.read_list(f"/execution-instance/{sid}/explain")

        assert answer["events"] == [one for one in before["events"] if one["sid"] != event]
        assert answer["unreadable"] == [{"id": event, "why": NEWER}]

    @staticmethod
    def spoil_answer(after: Rollback, event: str) -> None:
        """Make the only answer to an event unreadable."""
        sid, _, seq = event.rpartition("-")
        items = after.dynamodb.admin.scan(TableName=after.dynamodb.tables.events)["Items"]
        (key,) = (
            item["sk"]["S"]
            for item in items
            if item["instanceSid"]["S"] == sid and item["sk"]["S"].startswith(f"s#{int(seq):08}#answer#")
        )
        after.spoil("events", instanceSid=sid, sk=key)

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

    def test_an_unreadable_order_of_several_ids_is_named(self, after: Rollback) -> None:
        one, other = (after.started(after.town.strategies[0]) for _ in range(2))
        after.spoil("instances", sid=one)

        status, answer = after.town.joc("/orders", orderIds=[one, other, "unknown"])

        assert (status, [order["orderId"] for order in answer["orders"]]) == (200, [other])
        assert after.town.headers[HEADER] == one

    def test_an_order_of_another_account_is_not_named(self, after: Rollback) -> None:
        one = after.started(after.town.strategies[0])
        after.spoil("instances", sid=one)
        after.dynamodb.client.update_item(
            TableName=after.dynamodb.tables.instances,
            Key={"sid": {"S": one}},
            UpdateExpression="SET accountId = :other",
            ExpressionAttributeValues={":other": {"S": "a-2"}},
        )

        assert after.town.joc("/orders", orderIds=[one])[1]["orders"] == []
        assert HEADER not in after.town.headers

    def test_an_unreadable_order_is_not_taken_for_an_unknown_one(self, after: Rollback) -> None:
        one = after.started(after.town.strategies[0])
        after.spoil("instances", sid=one)

        status, answer = after.town.send_joc("/order", orderId=one)

        assert (status, "errorId" in answer["error"]) == (500, True)
        assert after.town.joc("/order", orderId="unknown")[0] == 420

    @pytest.mark.parametrize("others", [0, 1])
    def test_an_unreadable_order_named_by_a_command_is_an_error_of_its_item(
        self, after: Rollback, others: int
    ) -> None:
        one, *rest = (after.started(after.town.strategies[0]) for _ in range(1 + others))
        after.spoil("instances", sid=one)

        status, answer = after.town.joc("/orders/cancel", orderIds=[one, *rest])

        assert (status, [error["path"] for error in answer["errors"]]) == (419, [one])
        assert NEWER in answer["errors"][0]["message"]
        for sid in rest:
            assert after.read_list(f"/execution-instance/{sid}")["status"] == "CANCELED"

    def test_orders_of_an_unreadable_workflow_are_named(self, after: Rollback) -> None:
        one, other = (after.started(sid) for sid in after.town.strategies)
        after.spoil("strategies", sid=after.town.strategies[0], sk="head")

        status, answer = after.town.joc("/orders", folders=[{"folder": "/de"}])

        assert (status, [order["orderId"] for order in answer["orders"]]) == (200, [other])
        assert after.town.headers[HEADER] == one

    def test_an_unreadable_workflow_of_several_is_named(self, after: Rollback) -> None:
        other = [after.started(sid) for sid in after.town.strategies][1]
        after.spoil("strategies", sid=after.town.strategies[0], sk="head")
        workflows = [{"path": "/de/s-1"}, {"path": "/de/s-2"}]

        status, answer = after.town.joc("/orders", workflowIds=workflows)

        assert (status, [order["orderId"] for order in answer["orders"]]) == (200, [other])
        assert after.town.headers[HEADER] == "s-1"
        # A command must not be taken for one to fewer orders.
        assert after.town.send_joc("/orders/cancel", workflowIds=workflows)[0] == 500

    def test_an_unreadable_run_of_a_named_order_is_named(self, after: Rollback) -> None:
        sid = after.ran()
        everything = after.town.joc("/orders/history", orderId=sid)[1]["history"]
        first, *rest = everything
        assert rest
        after.spoil("events", instanceSid=sid, sk=record_key(int(first["historyId"].rpartition("-")[2])))

        for body in ({"orderId": sid}, {"historyIds": [one["historyId"] for one in everything]}):
            status, answer = after.town.joc("/orders/history", **body)
            assert (status, answer["history"]) == (200, rest)
            assert after.town.headers[HEADER] == first["historyId"]
        # Another run of the same order can be read.
        status, answer = after.town.joc("/orders/history", historyIds=[rest[0]["historyId"]])
        assert (status, answer["history"]) == (200, rest[:1])
        assert HEADER not in after.town.headers

    @pytest.mark.parametrize("by_run", [False, True])
    def test_an_unreadable_order_of_a_history_is_named(self, after: Rollback, by_run: bool) -> None:  # noqa: FBT001 - a parameter
        sid = after.started(after.town.strategies[0])
        after.spoil("instances", sid=sid)
        body = {"historyIds": [f"{sid}-1"]} if by_run else {"orderId": sid}

        status, answer = after.town.joc("/orders/history", **body)

        assert (status, answer["history"]) == (200, [])
        assert after.town.headers[HEADER] == (f"{sid}-1" if by_run else sid)

    def test_runs_of_an_unreadable_workflow_are_named(self, after: Rollback) -> None:
        after.ran()
        history = after.town.joc("/orders/history")[1]["history"]
        after.spoil("strategies", sid=after.town.strategies[-1], sk="head")

        status, answer = after.town.joc("/orders/history")

        assert (status, answer["history"]) == (200, [])
        assert after.town.headers[HEADER] == ", ".join(run["historyId"] for run in history)

    @pytest.mark.parametrize("place", [0, 2])
    def test_an_unreadable_run_leaves_the_status_of_a_process_open(self, after: Rollback, place: int) -> None:
        sid = after.ran()
        run = after.town.joc("/orders/history", orderId=sid)[1]["history"][place]["historyId"]
        path = f"{PROCESS}/status/{sid}"
        assert after.town.ask("GET", path, headers=BASIC)[1]["status"] == "SUCCEEDED"
        after.spoil("events", instanceSid=sid, sk=record_key(int(run.rpartition("-")[2])))

        status, answer = after.town.ask("GET", path, headers=BASIC)

        assert (status, answer) == (
            200,
            {"status": "WAITING", "message": "Your transaction waits for its time."},
        )
        assert after.town.headers[HEADER] == run

    def test_a_process_that_has_ended_says_that_its_outcome_is_unreadable(self, after: Rollback) -> None:
        town = after.town
        after.save_simple()
        body = {"name": "simple", "runOnce": "Y"}
        sid = town.ask("POST", f"{PROCESS}/start", body, BASIC)[1]["robustaSpid"]
        after.run(sid, 1)
        assert town.ask("GET", f"{PROCESS}/status/{sid}", headers=BASIC)[1]["status"] == "SUCCEEDED"
        run = town.joc("/orders/history", orderId=sid)[1]["history"][0]["historyId"]
        after.spoil("events", instanceSid=sid, sk=record_key(int(run.rpartition("-")[2])))

        status, answer = town.ask("GET", f"{PROCESS}/status/{sid}", headers=BASIC)

        message = "Your transaction has ended; its outcome cannot be read."
        assert (status, answer) == (200, {"status": "WAITING", "message": message})

    @pytest.mark.parametrize("part", ["s#", "answer"])
    def test_unreadable_runs_of_a_workflow_are_named(self, after: Rollback, part: str) -> None:
        event = after.answered()
        sid, _, seq = event.rpartition("-")
        path = f"{AUTOMATION}/{after.town.strategies[0]}/workflows/{sid}"
        assert after.read_list(f"{path}?includeLogs=true")["logs"]
        items = after.dynamodb.admin.scan(TableName=after.dynamodb.tables.events)["Items"]
        keys = [item["sk"]["S"] for item in items if item["instanceSid"]["S"] == sid]
        (key, *_) = sorted(
            key
            for key in keys
            if key.startswith(f"s#{int(seq):08}#") and ("answer" in key) == (part == "answer")
        )
        after.spoil("events", instanceSid=sid, sk=key)

        assert event not in [log["id"] for log in after.read_list(f"{path}?includeLogs=true")["logs"]]
        assert after.town.headers[HEADER] == event
        assert after.read_list(path)["workflowId"] == sid
        assert HEADER not in after.town.headers
        after.read_list(f"{path}/errors")
        # Errors are among the steps, and an answer is not.
        assert after.town.headers.get(HEADER) == (event if part == "s#" else None)

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


@dataclass(frozen=True)
class Spoiled:
    """An item that cannot be read. ``ids`` name it, or items that cannot be shown without it."""

    table: str
    key: dict[str, str]
    ids: frozenset[str]


class TestEveryReading:
    """A reading operation whose answer lacks an item names it, and fails only if the item is what was asked for."""

    ALWAYS_ANSWER = frozenset({"get_orders", "get_history"})
    """Operations that take many ids, of which one must not spoil the answer about the others."""

    CHANGES = frozenset({"get_app"})
    """Operations whose answer is another one each time."""

    KINDS: Mapping[str, tuple[str, Callable[[dict[str, str]], bool]]] = {
        "instance": ("instances", lambda _: True),
        "strategy": ("strategies", lambda key: key["sk"] == "head"),
        "name of a strategy": ("strategies", lambda key: key["sk"].startswith("name#")),
        "record": ("events", lambda key: is_record_key(key["sk"])),
        "journal entry": (
            "events",
            lambda key: not is_record_key(key["sk"]) and not is_answer_key(key["sk"]),
        ),
        "answer": ("events", lambda key: not is_record_key(key["sk"]) and is_answer_key(key["sk"])),
        "operation": ("operations", lambda _: True),
        # The own key of the caller is needed for any answer.
        "access key": ("access", lambda key: key["sk"] == "key" and key["pk"] != "key#key-1"),
        "audit entry": ("audit", lambda _: True),
    }
    """The table of each kind, and the keys of its items. Settings are tested above."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_an_answer_that_lacks_an_item_names_it(self, after: Rollback, kind: str) -> None:
        town = after.town
        town.begin()
        for _ in range(20):
            town.rng.choice(WRITES)(town)
        after.answered()
        town.ports.clock.at += timedelta(days=3)
        requests = [
            (name, request)
            for name, several in readings(town)
            for request in several
            if name not in self.CHANGES
        ]
        before = self.answers(after, requests)
        requests = [one for one in requests if before[f"{one[0]} {one[1]}"][0] == 200]
        is_seen = False

        for spoiled in self.items(after, kind):
            after.spoil(spoiled.table, **spoiled.key)
            for request, (status, body, names) in self.answers(after, requests).items():
                lacks = (status, body) != before[request][:2]
                assert not lacks or self.is_allowed(spoiled, request, status, names), (request, status, body)
                is_seen |= lacks
            after.mend(spoiled.table, **spoiled.key)

        # Otherwise the kind would not be tested at all.
        assert is_seen
        # And the spoiled items are the only difference.
        after_all = self.answers(after, requests)
        assert after_all == {request: before[request] for request in after_all}

    def is_allowed(self, spoiled: Spoiled, request: str, status: int, names: str) -> bool:
        """Return whether an answer may differ from that before."""
        operation = request.partition(" ")[0]
        if status == 200:
            return any(one in names for one in spoiled.ids)
        # In JOC, an operation that fails answers 420 with an id of the error.
        return operation not in self.ALWAYS_ANSWER and any(one in request for one in spoiled.ids)

    def answers(
        self, after: Rollback, requests: Sequence[tuple[str, Any]]
    ) -> dict[str, tuple[int, Any, str]]:
        """Return status and body of every reading request, and what they name as unreadable."""
        town = after.town
        # New stores, because versions never change and are cached.
        town.ports.stores = on_dynamodb(after.dynamodb)
        found: dict[str, tuple[int, Any, str]] = {}
        for name, request in requests:
            if isinstance(request, str):
                headers = BASIC if "/connector-" in request else None
                status, body = town.send("GET", request, headers=headers)
            else:
                status, body = town.send_joc(request[0], **request[1])
            named = body.pop("unreadable", []) if isinstance(body, dict) else []
            names = [town.headers.get(HEADER, ""), *(one["id"] for one in named)]
            found[f"{name} {request}"] = (status, body, " ".join(names).strip())
        return found

    def items(self, after: Rollback, kind: str) -> list[Spoiled]:
        """Return three items of a kind, or all if there are fewer."""
        table, is_of_kind = self.KINDS[kind]
        found: list[Spoiled] = []
        for item in after.dynamodb.admin.scan(TableName=getattr(after.dynamodb.tables, table))["Items"]:
            key = {name: item[name]["S"] for name in LAYOUTS[table].key}
            # Events of orders are shown by few operations.
            if is_of_kind(key) and key.get("instanceSid") in (None, *after.town.instances):
                ids = frozenset(self.ids(after, table, key))
                found.append(Spoiled(table=table, key=key, ids=ids))
        found.sort(key=lambda spoiled: sorted(spoiled.key.values()))
        return found if len(found) < 4 else [found[0], found[len(found) // 2], found[-1]]

    def ids(self, after: Rollback, table: str, key: dict[str, str]) -> Iterator[str]:
        """Yield the ids of an item, and of those that cannot be shown without it."""
        town = after.town
        if table == "strategies":
            name = key["sk"].removeprefix("name#")
            head = town.ports.strategies.named(ACCOUNT, name) if name != key["sk"] else None
            sid = StrategySid(key["sid"]) if head is None else head.sid
            known = town.ports.strategies.head(sid)
            assert known is not None
            yield from (sid, known.name)
            for instance in self.instances(after):
                if head is None and instance.strategy_sid == sid:
                    yield from (instance.sid, instance.origin.order_id or instance.sid)
        elif table == "instances":
            (instance,) = (one for one in self.instances(after) if one.sid == key["sid"])
            yield from (instance.sid, instance.origin.order_id or instance.sid)
        elif table == "events":
            yield event_sid(InstanceSid(key["instanceSid"]), event_number(key["sk"]))
        elif table == "access":
            yield key["pk"].removeprefix("key#")
        else:
            yield key["sk" if table == "audit" else "sid"]

    @staticmethod
    def instances(after: Rollback) -> list[Instance]:
        items = after.dynamodb.admin.scan(TableName=after.dynamodb.tables.instances)["Items"]
        return all_readable(after.town.ports.instances.load_many([item["sid"]["S"] for item in items]))


class TestTrigger:
    """A definition that cannot be read keeps no workflow of another one from being started."""

    def test_the_workflows_of_other_definitions_are_started(self, after: Rollback) -> None:
        first, broken, last = (after.town.ask("POST", AUTOMATION, DEFINITION)[1]["id"] for _ in range(3))
        after.spoil("strategies", sid=sid_of(after, broken), sk="v#00000001")

        status, _ = after.town.send("POST", "/api/v1/accounts/a-1/triggers/http_request", {})

        assert status == 500
        for one in (first, last):
            assert len(after.read_list(f"{AUTOMATION}/{one}/workflows")) == 1
