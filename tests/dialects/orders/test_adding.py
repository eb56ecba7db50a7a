"""Adding orders. Source: docs/contracts/orders.md B.2 addOrder; docs/contracts/mapping.md D.5."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from dev.memory.stores import MemoryInstances
from shared.api.orders.adding import when_of
from shared.application.ports import ConnectionLostError, OverloadedError
from shared.domain.ids import order_number, order_sid
from tests.dialects.orders.client import ACCOUNT, Joc
from tests.dialects.wire import NOON
from tests.factories import settings

MISSING = "must have the member 'customerId' (schemaPath /properties/customerId)"


Json = dict[str, Any]


class Overloaded(MemoryInstances):
    """A store that accepts one new instance, then none once, then all."""

    def __init__(self, other: MemoryInstances) -> None:
        super().__init__(
            instances=other.instances, journal=other.journal, records=other.records, audit=other.audit
        )
        self.creates = 0
        self.error: type[Exception] = OverloadedError

    def create(self, *args: Any, **named: Any) -> None:
        self.creates += 1
        if self.creates == 2:
            raise self.error
        super().create(*args, **named)


def add(joc: Joc, *orders: dict[str, Any], **more: Any) -> tuple[int, Any]:
    items = [{"workflowPath": "/refill", **order} for order in orders]
    return joc("/orders/add", {"orders": items, **more})


class TestDates:
    """``scheduledFor`` is in the zone of ``timeZone``, or else in UTC."""

    @pytest.mark.parametrize(
        ("text", "zone", "at"),
        [
            ("now", None, "2026-01-01T12:00:00Z"),
            ("now+0", None, "2026-01-01T12:00:00Z"),
            ("now+90", None, "2026-01-01T12:01:30Z"),
            ("now + 3600", None, "2026-01-01T13:00:00Z"),
            ("now+01:30", None, "2026-01-01T13:30:00Z"),
            ("now+36:00:05", None, "2026-01-03T00:00:05Z"),
            ("2026-02-03 04:05", None, "2026-02-03T04:05:00Z"),
            ("2026-02-03 04:05:06", None, "2026-02-03T04:05:06Z"),
            ("2026-07-03 04:05:06", "Europe/Berlin", "2026-07-03T02:05:06Z"),
            ("2026-03-29 02:30", "Europe/Berlin", "2026-03-29T01:00:00Z"),
            ("2025-12-24 18:00", None, "2025-12-24T18:00:00Z"),
            ("2026-02-03", None, "2026-02-03T00:00:00Z"),
            ("2026-02-03", "Europe/Berlin", "2026-02-02T23:00:00Z"),
        ],
    )
    def test_a_date_is_read_in_the_zone(self, text: str, zone: str | None, at: str) -> None:
        assert when_of(text, zone, now=NOON).at == datetime.fromisoformat(at)

    @pytest.mark.parametrize("text", ["never", "NEVER", "Never"])
    def test_never_has_no_date(self, text: str) -> None:
        assert when_of(text, None, now=NOON).at is None

    @pytest.mark.parametrize(
        "text",
        ["", "then", "now-5", "now+", "now+1:60", "now+1h", "2026-02-30", "2026-02-03T04:05Z", "9" * 20],
    )
    def test_an_invalid_date_is_an_error_of_the_item(self, joc: Joc, text: str) -> None:
        joc.workflow()

        status, answer = add(joc, {"scheduledFor": text})

        assert (status, [error["code"] for error in answer["errors"]]) == (419, ["JOC-405"])
        assert joc.ports.instances.instances == {}

    @pytest.mark.parametrize(
        ("zone", "day"), [("Europe/Berlin", "2026-01-02"), ("UTC", "2026-01-01"), (None, "2026-01-01")]
    )
    def test_the_id_has_the_day_in_the_zone(self, zone: str | None, day: str) -> None:
        late = datetime(2026, 1, 1, 23, 30, tzinfo=UTC)

        assert when_of("now", zone, now=late).day == day
        assert when_of("never", zone, now=late).day == day


class TestAddedOrder:
    """An order is one run of its workflow with its own arguments, then FINISHED."""

    def test_an_order_runs_once_at_its_date(self, joc: Joc) -> None:
        joc.workflow()
        order = joc.added(
            orderName="daily", scheduledFor="now+3600", arguments={"a": "x", "b": 1.5, "c": True}
        )
        sid = order_sid(ACCOUNT, order)
        decoded = joc.read(order)

        assert order == "#2026-01-01#T26880000000-daily"
        assert (decoded["orderId"], decoded["state"]["_text"]) == (order, "SCHEDULED")
        assert decoded["scheduledFor"] == 1767272400000
        assert decoded["arguments"] == {"a": "x", "b": 1.5, "c": True}
        joc.run(sid)
        assert joc.shop.keys == []
        joc.later(timedelta(hours=1))
        joc.run(sid)

        assert (joc.state(order), len(joc.shop.keys)) == ("FINISHED", 1)
        assert joc.instance(sid).origin.created_by == "operator"

    def test_date_and_name_have_defaults(self, joc: Joc) -> None:
        joc.workflow()
        order = joc.added()

        assert order.endswith("-operator")
        assert (joc.state(order), joc.read(order)["scheduledFor"]) == ("SCHEDULED", 1767268800000)
        joc.run(order_sid(ACCOUNT, order))
        assert joc.state(order) == "FINISHED"

    def test_an_order_of_never_waits_until_it_is_continued(self, joc: Joc) -> None:
        joc.workflow()
        order = joc.added(scheduledFor="never")
        sid = order_sid(ACCOUNT, order)
        joc.later(timedelta(days=400))
        joc.run(sid)
        decoded = joc.read(order)

        assert (decoded["state"]["_text"], decoded["scheduledNever"]) == ("PENDING", True)
        assert "scheduledFor" not in decoded
        joc("/orders/continue", {"orderIds": [order]})
        joc.run(sid)
        assert (joc.state(order), len(joc.shop.keys)) == ("FINISHED", 1)

    def test_an_order_of_a_past_date_runs_at_once(self, joc: Joc) -> None:
        joc.workflow()
        order = joc.added(scheduledFor="2025-12-24 18:00")
        joc.run(order_sid(ACCOUNT, order))

        assert joc.state(order) == "FINISHED"

    def test_an_order_has_the_latest_version_of_its_workflow(self, joc: Joc) -> None:
        head = joc.workflow("deep", "/a/b")
        for path in ("/a/b/deep", "deep"):
            order = joc.added(workflowPath=path)
            assert joc.read(order)["workflowId"] == {"path": "/a/b/deep", "versionId": "1"}
        assert joc.instance(order_sid(ACCOUNT, order)).strategy_sid == head.sid

    def test_defaults_of_fields_that_would_not_act_are_accepted(self, joc: Joc) -> None:
        joc.workflow()
        defaults: dict[str, object] = {
            "forceJobAdmission": False,
            "priority": 0,
            "planId": None,
            "openClosedPlan": "false",
            "tags": [],
        }

        assert joc.state(joc.added(**defaults)) == "SCHEDULED"

    @pytest.mark.parametrize(
        ("name", "value", "why"),
        [
            ("forceJobAdmission", True, "orders do not compete for jobs"),
            ("priority", 5, "orders do not compete for jobs"),
            ("planId", {"planSchemaId": "DailyPlan"}, "orders belong to no plan"),
            ("openClosedPlan", "true", "orders belong to no plan"),
            ("tags", ["a"], "orders have no tags"),
        ],
    )
    def test_fields_that_would_not_act_are_refused(
        self, joc: Joc, name: str, value: object, why: str
    ) -> None:
        joc.workflow()
        status, answer = joc("/orders/add", {"orders": [{"workflowPath": "/refill", name: value}]})
        assert status == 419
        assert [error["message"] for error in answer["errors"]] == [
            f"JocBadRequestException: '{name}' is not supported: {why}"
        ]
        assert joc.ports.instances.instances == {}

    def test_an_addition_with_audit_log_is_audited(self, joc: Joc) -> None:
        joc.workflow()
        joc.added()
        assert joc.ports.instances.audit == []
        log = {"comment": "asked for", "timeSpent": 3, "ticketLink": "T-1"}

        _, answer = add(joc, {}, auditLog=log)

        (entry,) = joc.ports.instances.audit
        assert entry.target == order_sid(ACCOUNT, answer["orderIds"][0])
        assert (entry.command, entry.by, entry.from_state, entry.to_state) == (
            "create",
            "operator",
            None,
            "ACTIVE",
        )
        assert (entry.reason, entry.minutes_spent, entry.ticket) == ("asked for", 3, "T-1")


class TestNames:
    """Every order has its own id, even if several are added in the same millisecond."""

    def test_orders_of_one_request_have_different_ids(self, joc: Joc) -> None:
        joc.workflow()

        _, answer = add(joc, *[{"orderName": "n"}] * 100)

        assert len(set(answer["orderIds"])) == 100
        assert answer["orderIds"][99] == "#2026-01-01#T26880000099-n"

    def test_orders_of_the_same_millisecond_have_different_ids(self, joc: Joc) -> None:
        joc.workflow()

        orders = [joc.added(orderName="n"), joc.added(orderName="n")]

        assert orders == ["#2026-01-01#T26880000000-n", "#2026-01-01#T26880000001-n"]
        assert len(joc.ports.instances.instances) == 2

    def test_an_order_without_a_free_id_is_an_error_of_the_item(self, joc: Joc) -> None:
        joc.workflow()
        add(joc, *[{"orderName": "n"}] * 100)

        status, answer = add(joc, {"orderName": "n"}, {"orderName": "m"})

        assert (status, len(answer["errors"])) == (419, 1)
        assert answer["errors"][0]["message"] == "JocException: too many requests; retry later"
        assert len(joc.ports.instances.instances) == 101

    def test_two_accounts_may_have_the_same_order_id(self) -> None:
        assert order_sid(ACCOUNT, "#1") != order_sid(type(ACCOUNT)("a-2"), "#1")


class TestSentAgain:
    """A request with an Idempotency-Key adds each of its orders once, even if it is sent again."""

    ORDERS: ClassVar[Json] = {
        "orders": [{"workflowPath": "/refill", "orderName": "n"}] * 2,
        "auditLog": {"comment": "new"},
    }

    def test_a_repeated_request_on_another_day_adds_nothing(self, joc: Joc) -> None:
        joc.workflow()

        first = joc("/orders/add", self.ORDERS, once="k-1")
        joc.later(timedelta(days=40))
        again = joc("/orders/add", self.ORDERS, once="k-1")

        ids = first[1]["orderIds"]
        assert (again[0], again[1]["orderIds"]) == (200, ids)
        assert len(set(ids)) == len(joc.ports.instances.instances) == len(joc.ports.instances.audit) == 2
        assert joc.read(ids[0])["orderId"] == ids[0]
        assert all(re.fullmatch(r"#2026-01-01#T[0-9]{20}-n", order_id) for order_id in ids)

    @pytest.mark.parametrize("error", [OverloadedError, ConnectionLostError])
    def test_a_repeated_request_adds_the_missing_orders(self, joc: Joc, error: type[Exception]) -> None:
        joc.workflow()
        store = Overloaded(joc.ports.instances)
        store.error = error
        joc.ports.instances = store
        status, _ = joc("/orders/add", self.ORDERS, once="k-1")
        assert (status, len(joc.ports.instances.instances)) == (419, 1)

        status, answer = joc("/orders/add", self.ORDERS, once="k-1")

        assert (status, len(answer["orderIds"])) == (200, 2)
        assert len(joc.ports.instances.instances) == 2

    @pytest.mark.parametrize(
        "other",
        [
            {"orders": [{"workflowPath": "/refill", "orderName": "m"}]},
            {**ORDERS, "auditLog": {"comment": "other"}},
            {"orders": [*ORDERS["orders"], {"workflowPath": "/refill"}]},
        ],
        ids=["another name", "another comment", "one more"],
    )
    def test_an_idempotency_key_with_another_body_adds_nothing(self, joc: Joc, other: Json) -> None:
        joc.workflow()
        joc("/orders/add", self.ORDERS, once="k-1")

        status, answer = joc("/orders/add", other, once="k-1")

        decoded = "JocBadRequestException: the Idempotency-Key was used with another request"
        assert (status, answer["error"]) == (420, {"code": "JOC-400", "message": decoded})
        assert len(joc.ports.instances.instances) == 2

    def test_keys_accounts_and_positions_have_separate_orders(self, joc: Joc) -> None:
        joc.workflow()

        ids = [*joc("/orders/add", self.ORDERS, once="k-1")[1]["orderIds"]]
        ids += joc("/orders/add", self.ORDERS, once="k-2")[1]["orderIds"]

        assert len(set(ids)) == 4
        assert order_number(ACCOUNT, "k", 0) != order_number(type(ACCOUNT)("a-2"), "k", 0)

    def test_an_order_is_found_by_the_number_in_its_id(self) -> None:
        number = order_number(ACCOUNT, "k-1", 0)

        assert order_sid(ACCOUNT, f"#2026-01-01#T{number}-a") == order_sid(
            ACCOUNT, f"#2026-12-31#T{number}-b"
        )
        assert order_sid(ACCOUNT, "#2026-01-01#T26880000000-a") != order_sid(
            ACCOUNT, "#2026-01-02#T26880000000-a"
        )

    @pytest.mark.parametrize("key", ["", "k" * 256])
    def test_a_key_has_1_to_255_characters(self, joc: Joc, key: str) -> None:
        joc.workflow()

        status, answer = joc("/orders/add", self.ORDERS, once=key)

        decoded = "SOSJsonSchemaException: the header Idempotency-Key must have 1 to 255 characters"
        assert (status, answer["error"]["message"]) == (420, decoded)
        assert joc.ports.instances.instances == {}


class TestRefusedItems:
    """If items are refused, the answer is 419 with an error for each; valid orders are added."""

    def test_a_refused_item_has_its_reason(self, joc: Joc) -> None:
        joc.workflow()
        rule = {"properties": {"customerId": {"type": "string"}}}
        joc.workflow("strict", **{"instanceValidation": rule} | _schedule())
        items: list[dict[str, Any]] = [
            {"orderName": "good"},
            {"workflowPath": "/gone"},
            {"workflowPath": "/strict"},
            {"timeZone": "Bogus/Zone"},
            {"scheduledFor": "2026-02-30 10:00"},
            {"arguments": {"a": [1]}},
            {"startPosition": "0"},
            {"endPositions": []},
            {"blockPosition": "0"},
        ]

        status, answer = add(joc, *items)

        assert status == 419
        assert [(e["path"], e["code"], e["message"]) for e in answer["errors"]] == [
            ("/gone", "JOC-002", "JocObjectNotExistException: workflow '/gone' does not exist"),
            (
                "/strict",
                "JOC-400",
                f"JocBadRequestException: arguments: {MISSING}",
            ),
            ("/refill", "JOC-400", "JocBadRequestException: unknown time zone 'Bogus/Zone'"),
            (
                "/refill",
                "JOC-405",
                "JocDateParseException: '2026-02-30 10:00' does not exist in the calendar",
            ),
            (
                "/refill",
                "JOC-400",
                "JocBadRequestException: arguments.a: must be a string, a number or a boolean",
            ),
            *(
                (
                    "/refill",
                    "JOC-400",
                    f"JocBadRequestException: '{name}' is not supported: an order runs its whole workflow",
                )
                for name in ("startPosition", "endPositions", "blockPosition")
            ),
        ]
        assert {e["surveyDate"] for e in answer["errors"]} == {"2026-01-01T12:00:00.000Z"}
        assert [one.origin.order_id for one in joc.ports.instances.instances.values()] == [
            "#2026-01-01#T26880000000-good"
        ]

    def test_an_item_of_a_wrong_type_refuses_the_request(self, joc: Joc) -> None:
        joc.workflow()

        status, answer = add(joc, {}, {"arguments": "x"})

        assert (status, answer["error"]["code"]) == (420, "JOC-420")
        assert joc.ports.instances.instances == {}

    def test_workflows_of_other_accounts_do_not_exist(self, joc: Joc) -> None:
        joc.workflow()

        status, _ = joc(
            "/orders/add", {"controllerId": "a-2", "orders": [{"workflowPath": "/refill"}]}, key="stranger"
        )

        assert (status, joc.ports.instances.instances) == (419, {})


def _schedule() -> dict[str, Any]:
    return {"schedule": settings()["schedule"]}
