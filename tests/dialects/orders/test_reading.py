"""Reading orders and their history. Source: docs/contracts/orders.md B.1, B.2."""

import json
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.api.orders.globs import matches
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.ids import InstanceSid, order_sid
from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import InstanceStatus, Lease
from tests.dialects.orders.client import ACCOUNT, Joc
from tests.dialects.wire import NOON
from tests.factories import changed

DAY = timedelta(days=1)
ONCE: dict[str, Any] = {"start_date": NOON + DAY, "schedule": OwnSchedule()}
NEVER: dict[str, Any] = {"schedule": OwnSchedule(on_call=True)}


def ids(joc: Joc, **body: Any) -> list[str]:
    status, answer = joc("/orders", body, key="viewer")
    assert status == 200, answer
    return [order["orderId"] for order in answer["orders"]]


class TestOneOrder:
    """An order is read by its id, in any state, whichever dialect made it."""

    def test_an_instance_of_another_dialect_is_an_order_by_its_sid(self, joc: Joc) -> None:
        sid = joc.order(joc.workflow("refill", "/shop"), start_date=NOON + DAY)

        assert joc.read(sid) == {
            "deliveryDate": "2026-01-01T12:00:00.000Z",
            "surveyDate": "2026-01-01T12:00:00.000Z",
            "orderId": sid,
            "workflowId": {"path": "/shop/refill", "versionId": "1"},
            "state": {"severity": 1, "_text": "SCHEDULED"},
            "arguments": {},
            "scheduledFor": 1767355200000,
            "hasChildOrders": False,
            "isContinuable": True,
            "isResumable": False,
            "isSuspendible": True,
        }

    def test_a_compact_order_has_no_arguments(self, joc: Joc) -> None:
        sid = joc.order(joc.workflow())

        assert "arguments" not in joc("/order", {"orderId": sid, "compact": True})[1]

    def test_an_order_of_a_deleted_workflow_can_be_read(self, joc: Joc) -> None:
        head = joc.workflow()
        sid = joc.order(head)
        joc.ports.strategies.heads[head.sid] = replace(head, deleted_at=NOON)

        assert joc.read(sid)["workflowId"]["path"] == "/refill"


class TestOrders:
    """Live orders are listed; terminated ones only if the request asks for their state."""

    @pytest.fixture
    def sids(self, joc: Joc) -> dict[str, str]:
        refill, other = joc.workflow("refill", "/a"), joc.workflow("other", "/a/b")
        found = {
            "soon": joc.order(refill, start_date=NOON + timedelta(hours=1), schedule=OwnSchedule()),
            "later": joc.order(refill, **ONCE),
            "never": joc.order(other, **NEVER),
            "gone": joc.order(other, **ONCE),
        }
        joc("/orders/cancel", {"orderIds": [found["gone"]]})
        return found

    @pytest.mark.parametrize(
        ("body", "found"),
        [
            ({}, ["later", "never", "soon"]),
            ({"states": ["PENDING"]}, ["never"]),
            ({"states": ["PENDING", "SCHEDULED"]}, ["later", "never", "soon"]),
            ({"states": ["CANCELLED"]}, ["gone"]),
            ({"states": ["FINISHED"]}, []),
            ({"states": ["PLANNED"]}, []),
            ({"workflowIds": [{"path": "/a/refill"}]}, ["later", "soon"]),
            ({"workflowIds": [{"path": "/a/refill", "versionId": "7"}]}, []),
            ({"workflowIds": [{"path": "gone"}]}, []),
            ({"folders": [{"folder": "/a/b"}]}, ["never"]),
            ({"folders": [{"folder": "/a", "recursive": False}]}, ["later", "soon"]),
            ({"dateFrom": "1d"}, ["later"]),
            ({"dateTo": "0d"}, ["never", "soon"]),
            ({"dateTo": "1d"}, ["never", "soon"]),
            ({"dateTo": "2d"}, ["later", "never", "soon"]),
            ({"dateTo": "2h"}, ["never", "soon"]),
            ({"dateTo": "0"}, ["never"]),
            ({"dateFrom": "0", "dateTo": "2h"}, ["soon"]),
            ({"limit": 0}, []),
            ({"limit": -1}, ["later", "never", "soon"]),
        ],
    )
    def test_a_list_is_filtered(
        self, joc: Joc, sids: dict[str, str], body: dict[str, Any], found: list[str]
    ) -> None:
        assert sorted(ids(joc, **body)) == sorted(sids[name] for name in found)

    @pytest.mark.parametrize("state", ["suspended", "prompting", "running"])
    def test_date_to_leaves_out_scheduled_orders_only(self, joc: Joc, state: str) -> None:
        head = joc.workflow(config={"manualTrigger": state == "prompting"})
        sid = joc.order(head, **ONCE)
        if state == "suspended":
            joc("/orders/suspend", {"orderIds": [sid]})
        if state == "running":
            event = joc.instance(sid).events[0]
            busy = changed(event, status=EventStatus.EXECUTING, begun_at=NOON, version=1)
            joc.change(sid, events=(busy,), lease=Lease(seq=event.seq, until=NOON + DAY), fence=1)

        assert ids(joc, dateTo="0") == [sid]

    def test_ids_ignore_limit_and_filters(self, joc: Joc, sids: dict[str, str]) -> None:
        named = [sids["gone"], "unknown", sids["soon"], sids["gone"]]

        assert ids(joc, orderIds=named, limit=1, states=["PENDING"]) == [sids["gone"], sids["soon"]]

    def test_a_limit_shortens_the_list(self, joc: Joc, sids: dict[str, str]) -> None:
        assert len(ids(joc, limit=2)) == 2
        assert len(sids) == 4

    def test_a_list_is_shortened_to_the_size_of_an_answer(self, joc: Joc) -> None:
        first = joc.instance(joc.order(joc.workflow(), **ONCE))
        for number in range(300):
            sid = InstanceSid(f"big-{number:03}")
            big = replace(first, sid=sid, attributes={"text": "x" * 16_000})
            joc.ports.instances.instances[sid] = big

        _, answer = joc("/orders", key="viewer")

        assert 4_100_000 < len(json.dumps(answer)) < 4 * 1024 * 1024 + 100_000
        assert len(answer["orders"]) == 257

    def test_a_list_has_no_orders_of_other_accounts(self, joc: Joc, sids: dict[str, str]) -> None:
        assert joc("/orders", {"controllerId": "a-2"}, key="stranger")[1]["orders"] == []
        assert len(sids) == 4


class TestSnapshot:
    """The number of orders in each state."""

    def read(self, joc: Joc, **body: Any) -> dict[str, int]:
        _, answer = joc("/orders/overview/snapshot", body, key="viewer")
        return {name: count for name, count in answer["orders"].items() if count}

    def test_every_order_counts_once(self, joc: Joc) -> None:
        refill, other = (
            joc.workflow("refill", "/a"),
            joc.workflow("other", "/b", config={"manualTrigger": True}),
        )
        sids = [joc.order(refill, **ONCE) for _ in range(5)]
        joc("/orders/suspend", {"orderIds": sids[:1]})
        joc("/orders/cancel", {"orderIds": sids[1:3]})
        joc.change(sids[3], status=InstanceStatus.COMPLETED, events=())
        joc.order(refill, **NEVER)
        joc.order(other)

        assert self.read(joc) == {
            "pending": 1,
            "prompting": 1,
            "scheduled": 1,
            "suspended": 1,
            "terminated": 3,
        }
        assert self.read(joc, folders=[{"folder": "/b"}]) == {"prompting": 1}
        assert self.read(joc, workflowIds=[{"path": "/a/refill"}])["pending"] == 1
        assert self.read(joc, workflowIds=[{"path": "/a/gone"}]) == {}

    @pytest.mark.parametrize(("until", "count"), [("1d", 1), ("0d", 1), ("2d", 2), ("0", 0)])
    def test_a_snapshot_leaves_out_orders_after_its_date(self, joc: Joc, until: str, count: int) -> None:
        head = joc.workflow()
        joc.order(head, **ONCE)
        joc.order(head, start_date=NOON + timedelta(hours=1), schedule=OwnSchedule())
        joc.order(head, **NEVER)

        decoded = self.read(joc, dateTo=until)

        assert decoded == {"pending": 1} | ({"scheduled": count} if count else {})


def ran(joc: Joc, path: str = "/refill", **order: Any) -> str:
    """Return the id of an order that has just run."""
    order_id = joc.added(workflowPath=path, **order)
    joc.run(
        next(one.sid for one in joc.ports.instances.instances.values() if one.origin.order_id == order_id)
    )
    return order_id


def read(joc: Joc, **body: Any) -> list[dict[str, Any]]:
    status, answer = joc("/orders/history", body, key="viewer")
    assert status == 200, answer
    return list(answer["history"])


def names(joc: Joc, **body: Any) -> list[str]:
    return [item["orderId"].rpartition("-")[2] for item in read(joc, **body)]


class TestHistory:
    """Runs that have ended are listed latest first, one for each cycle that began."""

    def test_a_run_that_succeeded(self, joc: Joc) -> None:
        joc.workflow("refill", "/shop")
        order_id = ran(joc, "/shop/refill", arguments={"a": 1})

        (item,) = read(joc)

        sid = joc.instance(_sid(order_id)).sid
        assert item == {
            "surveyDate": "2026-01-01T12:00:00.000Z",
            "controllerId": "a-1",
            "orderId": order_id,
            "workflow": "/shop/refill",
            "plannedTime": "2026-01-01T12:00:00.000Z",
            "startTime": "2026-01-01T12:00:00.000Z",
            "endTime": "2026-01-01T12:00:00.000Z",
            "sequence": 1,
            "state": {"severity": 0, "_text": "SUCCESSFUL"},
            "orderState": {"severity": 6, "_text": "FINISHED"},
            "historyId": f"{sid}-1",
            "children": [],
            "arguments": {"a": 1},
        }

    def test_a_run_that_failed(self, joc: Joc) -> None:
        joc.workflow()
        joc.shop.is_silent = True
        ran(joc)

        (item,) = read(joc)

        assert item["state"] == {"severity": 2, "_text": "FAILED"}
        assert item["orderState"] == {"severity": 2, "_text": "FAILED"}

    def test_a_run_that_was_cancelled_has_failed(self, joc: Joc) -> None:
        sid = joc.order(joc.workflow())
        event = changed(joc.instance(sid).events[0], status=EventStatus.QUEUED, begun_at=NOON, version=1)
        joc.change(sid, events=(event,))
        joc("/orders/cancel", {"orderIds": [sid]})

        (item,) = read(joc)

        assert (item["state"]["_text"], item["orderState"]["_text"]) == ("FAILED", "CANCELLED")

    def test_an_order_that_never_began_has_no_history(self, joc: Joc) -> None:
        sid = joc.order(joc.workflow(), **ONCE)
        joc("/orders/cancel", {"orderIds": [sid]})

        assert read(joc) == read(joc, orderId=sid) == []

    def test_every_cycle_of_a_recurring_order_is_a_run(self, joc: Joc) -> None:
        sid = joc.order(joc.workflow())
        joc.run(sid)
        joc.later(timedelta(days=31))
        joc.run(sid)

        assert [item["sequence"] for item in read(joc)] == [2, 1]
        assert [item["sequence"] for item in read(joc, orderId=sid)] == [2, 1]

    @pytest.fixture
    def three(self, joc: Joc) -> Joc:
        """Runs of three days: ``one``, which failed, then ``two``, then ``three`` of another workflow."""
        joc.workflow("refill", "/a")
        joc.workflow("other", "/a/b")
        # Without an answer the first run fails.
        joc.shop.is_silent = True
        ran(joc, "/a/refill", orderName="one")
        joc.shop.is_silent = False
        joc.later(DAY)
        ran(joc, "/a/refill", orderName="two")
        joc.later(DAY)
        ran(joc, "/a/b/other", orderName="three")
        return joc

    @pytest.mark.parametrize(
        ("body", "found"),
        [
            ({}, ["three", "two", "one"]),
            ({"controllerId": None}, ["three", "two", "one"]),
            ({"limit": 2}, ["three", "two"]),
            ({"limit": -1}, ["three", "two", "one"]),
            ({"historyStates": ["FAILED"]}, ["one"]),
            ({"historyStates": ["SUCCESSFUL"]}, ["three", "two"]),
            ({"historyStates": ["INCOMPLETE"]}, []),
            ({"dateFrom": "1d"}, ["three", "two"]),
            ({"dateFrom": "0d"}, ["three"]),
            ({"dateTo": "1d"}, ["two", "one"]),
            ({"dateFrom": "1d", "dateTo": "1d"}, ["two"]),
            ({"dateTo": "12h"}, ["two", "one"]),
            ({"completedDateFrom": "1d", "completedDateTo": "1d"}, ["two"]),
            ({"completedDateTo": "2026-01-02T00:00:00Z"}, ["one"]),
            ({"workflowName": "re?ill"}, ["two", "one"]),
            ({"workflowPath": "/a/b/*"}, ["three"]),
            ({"orderId": "*-t*"}, ["three", "two"]),
            ({"folders": [{"folder": "/a"}]}, ["three", "two", "one"]),
            ({"folders": [{"folder": "/a", "recursive": False}]}, ["two", "one"]),
            ({"folders": [{"folder": "/c"}]}, []),
            ({"excludeWorkflows": ["/a/refill"]}, ["three"]),
            ({"excludeWorkflows": ["other"]}, ["two", "one"]),
            ({"orders": [{"workflowPath": "/a/refill"}]}, ["two", "one"]),
            ({"orders": [{"workflowPath": "other"}], "folders": [{"folder": "/c"}]}, ["three"]),
            ({"orders": [{"workflowPath": "other"}], "excludeWorkflows": ["other"]}, ["three"]),
        ],
    )
    def test_a_list_is_filtered(self, three: Joc, body: dict[str, Any], found: list[str]) -> None:
        assert names(three, **body) == found

    def test_runs_of_an_order_are_found_by_its_id(self, three: Joc) -> None:
        order_id = read(three, orderId="*-two")[0]["orderId"]

        assert names(three, orderId=order_id) == ["two"]
        assert names(three, orders=[{"workflowPath": "/a/refill", "orderId": order_id}]) == ["two"]
        assert names(three, orders=[{"workflowPath": "/a/b/other", "orderId": order_id}]) == []
        assert names(three, orderId="gone") == []

    def test_history_ids_take_precedence(self, three: Joc) -> None:
        history_id = read(three, orderId="*-one")[0]["historyId"]

        found = names(
            three, historyIds=[history_id, history_id, "gone", f"{history_id}0"], historyStates=["SUCCESSFUL"]
        )
        assert found == ["one"]

    def test_a_retried_run_is_no_history(self, three: Joc) -> None:
        item = read(three, orderId="*-one")[0]
        sid = _sid(item["orderId"])
        record = three.ports.instances.records[sid, 1]
        three.change(
            sid, status=InstanceStatus.ACTIVE, events=(replace(record.event, status=EventStatus.QUEUED),)
        )

        assert names(three, orderId=item["orderId"]) == []
        assert names(three) == ["three", "two"]

    def test_a_history_has_no_runs_of_other_accounts(self, three: Joc) -> None:
        history_id = read(three)[0]["historyId"]
        for body in ({}, {"historyIds": [history_id]}):
            send = {"controllerId": "a-2", **body}
            assert three("/orders/history", send, key="stranger")[1]["history"] == []

    @pytest.mark.parametrize(
        ("body", "counts"),
        [
            ({}, (2, 1)),
            ({"dateFrom": "1d"}, (2, 0)),
            ({"dateTo": "2d"}, (0, 1)),
            ({"dateFrom": "1d", "dateTo": "1d", "timeZone": "Europe/Berlin"}, (1, 0)),
        ],
    )
    def test_a_summary_counts_runs(self, three: Joc, body: dict[str, Any], counts: tuple[int, int]) -> None:
        status, answer = three("/orders/overview/summary", body, key="viewer")

        assert (status, answer["orders"]) == (200, {"successful": counts[0], "failed": counts[1]})


class TestPatterns:
    """``*`` matches any text, ``?`` any character."""

    @pytest.mark.parametrize(
        ("pattern", "text", "is_like"),
        [
            ("", "", True),
            ("*", "", True),
            ("*", "anything", True),
            ("a*c", "abbc", True),
            ("a*c", "ac", True),
            ("a*c", "acb", False),
            ("a?c", "abc", True),
            ("a?c", "ac", False),
            ("*a*b", "xxaxxbxxb", True),
            ("**", "x", True),
            ("a", "b", False),
            ("a", "aa", False),
            ("[ab]", "a", False),
            ("*" * 50 + "b", "a" * 200, False),
        ],
    )
    def test_a_pattern_matches_the_whole_text(self, pattern: str, text: str, is_like: bool) -> None:  # noqa: FBT001 - a row
        assert matches(pattern, text) is is_like


def _sid(order_id: str) -> InstanceSid:
    return order_sid(ACCOUNT, order_id)
