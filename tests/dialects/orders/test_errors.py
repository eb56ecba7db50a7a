"""Every error of the orders dialect with its message. Source: docs/contracts/orders.md B.5 and B.6."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from dev.memory.stores import MemoryInstances
from shared import bootstrap
from shared.api.orders.errors import Code
from shared.api.orders.schemas import MAX_ORDER_IDS
from shared.application.ports import ConnectionLostError, OverloadedError, Unreadable
from shared.domain.ids import InstanceSid
from shared.domain.instance.model import Instance
from tests.dialects.orders.client import BASE, MINE, Joc

SAID = {"deliveryDate": "2026-01-01T12:00:00.000Z", "surveyDate": "2026-01-01T12:00:00.000Z"}
ONE = {"orderIds": ["#2026-01-01#T1-one"]}

# Each: path, body; code and message.
REFUSED: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "a wrong type": (
        "/orders/cancel",
        {"orderIds": "daily"},
        "JOC-420",
        "SOSJsonSchemaException: $.orderIds: must be a list",
    ),
    "a wrong type deep down, and another": (
        "/orders/cancel",
        {"workflowIds": [{"path": "/a"}, {"path": {}}], "kill": "maybe"},
        "JOC-420",
        "SOSJsonSchemaException: $.workflowIds[1].path: must be a string; $.kill: must be true or false",
    ),
    "what must be there": (
        "/order",
        {},
        "JOC-420",
        "SOSJsonSchemaException: $.orderId: is required",
    ),
    "a state that is none": (
        "/orders",
        {"states": ["SLEEPY"]},
        "JOC-420",
        (
            "SOSJsonSchemaException: $.states[0]: must be 'PENDING', 'SCHEDULED', 'INPROGRESS', 'RUNNING', "
            "'SUSPENDED', 'WAITING', 'PROMPTING', 'FAILED', 'BLOCKED', 'CANCELLED', 'FINISHED', 'PLANNED', "
            "'BROKEN' or 'UNKNOWN'"
        ),
    ),
    "a date of another form": (
        "/orders/cancel",
        {**ONE, "dateFrom": "tomorrow"},
        "JOC-420",
        "SOSJsonSchemaException: $.dateFrom: must be a date like 2026-11-25T10:00:00Z, a distance like 1d, or 0",
    ),
    "a date no calendar has": (
        "/orders/cancel",
        {"workflowIds": [{"path": "/a"}], "dateFrom": "2026-02-30T10:00:00Z"},
        "JOC-405",
        "JocDateParseException: '2026-02-30T10:00:00Z' does not exist in the calendar",
    ),
    "a zone nobody knows": (
        "/orders/cancel",
        {"workflowIds": [{"path": "/a"}], "dateFrom": "1d", "timeZone": "Bogus/Zone"},
        "JOC-400",
        "JocBadRequestException: unknown time zone 'Bogus/Zone'",
    ),
    "an end before its beginning": (
        "/orders/cancel",
        {"workflowIds": [{"path": "/a"}], "dateFrom": "2d", "dateTo": "-2d"},
        "JOC-400",
        "JocBadRequestException: 'dateFrom' must be older than 'dateTo'",
    ),
    "no selector at all": (
        "/orders/cancel",
        {},
        "JOC-400",
        "JocBadRequestException: one of orderIds, workflowIds, folders required",
    ),
    "states alone are no selector": (
        "/orders/suspend",
        {"states": ["SCHEDULED"], "orderIds": [], "folders": []},
        "JOC-400",
        "JocBadRequestException: one of orderIds, workflowIds, folders required",
    ),
    "another's controller": (
        "/orders",
        {"controllerId": "a-2"},
        "JOC-404",
        "JocUnknownControllerException: unknown controller 'a-2'",
    ),
    "a controller whose name cannot be": (
        "/orders",
        {"controllerId": "a/b"},
        "JOC-420",
        'SOSJsonSchemaException: $.controllerId: must match ^[^/\\\\<>?!&:;()"|*^]+$',
    ),
    "no controller": (
        "/orders",
        {"controllerId": None},
        "JOC-420",
        "SOSJsonSchemaException: $.controllerId: is required",
    ),
    "cancel of nothing": (
        "/orders/cancel",
        ONE,
        "JOC-161",
        "ControllerObjectNotExistException: No orders found.",
    ),
    "suspend of nothing": (
        "/orders/suspend",
        ONE,
        "JOC-161",
        "ControllerObjectNotExistException: No suspendible orders found.",
    ),
    "continue of nothing": (
        "/orders/continue",
        ONE,
        "JOC-161",
        "ControllerObjectNotExistException: No continuable orders found.",
    ),
    "confirm of nothing": (
        "/orders/confirm",
        ONE,
        "JOC-161",
        "ControllerObjectNotExistException: No prompting orders found.",
    ),
    "an order nobody knows": (
        "/order",
        {"orderId": "gone"},
        "JOC-161",
        "ControllerObjectNotExistException: unknown order 'gone'",
    ),
    "a comment that is too long": (
        "/orders/cancel",
        {**ONE, "auditLog": {"comment": "c" * 256}},
        "JOC-420",
        "SOSJsonSchemaException: $.auditLog.comment: must have at most 255 characters",
    ),
    "time spent that is less than nothing": (
        "/orders/cancel",
        {**ONE, "auditLog": {"timeSpent": -1}},
        "JOC-420",
        "SOSJsonSchemaException: $.auditLog.timeSpent: must be at least 0",
    ),
    "a ticket link that is too long": (
        "/orders/cancel",
        {**ONE, "auditLog": {"ticketLink": "c" * 256}},
        "JOC-420",
        "SOSJsonSchemaException: $.auditLog.ticketLink: must have at most 255 characters",
    ),
    "too many ids": (
        "/orders/cancel",
        {"orderIds": [f"{number}" for number in range(MAX_ORDER_IDS + 1)]},
        "JOC-420",
        "SOSJsonSchemaException: $.orderIds: must have at most 1000 entries",
    ),
    "an id that cannot be": (
        "/orders/cancel",
        {"orderIds": ["<b>"]},
        "JOC-420",
        "SOSJsonSchemaException: $.orderIds[0]: must match ^[^<>]+$",
    ),
    "a folder that is none": (
        "/orders/cancel",
        {"folders": [{"folder": "sos"}]},
        "JOC-420",
        "SOSJsonSchemaException: $.folders[0].folder: must match ^/[ -~]*$",
    ),
    "a type of orders that is none": (
        "/orders/cancel",
        {**ONE, "orderType": "Stale"},
        "JOC-420",
        "SOSJsonSchemaException: $.orderType: must match ^(FreshOnly|FreshOrStarted)$",
    ),
    "a reset": (
        "/orders/suspend",
        {**ONE, "reset": True},
        "JOC-400",
        "JocBadRequestException: 'reset' is not supported: a resumed order continues from its last step",
    ),
    "a resume elsewhere": (
        "/orders/resume",
        {**ONE, "position": [1]},
        "JOC-400",
        "JocBadRequestException: 'position' is not supported: a resumed order continues from its last step",
    ),
    "a resume with other variables": (
        "/orders/resume",
        {**ONE, "variables": {"a": 1}},
        "JOC-400",
        "JocBadRequestException: 'variables' is not supported: a resumed order continues from its last step",
    ),
    "no orders to add": (
        "/orders/add",
        {"orders": []},
        "JOC-420",
        "SOSJsonSchemaException: $.orders: must have 1 or more entries",
    ),
    "an order's name that is too long": (
        "/orders/add",
        {"orders": [{"workflowPath": "/a", "orderName": "n" * 31}]},
        "JOC-420",
        "SOSJsonSchemaException: $.orders[0].orderName: must have at most 30 characters",
    ),
}


@pytest.mark.parametrize("row", REFUSED)
def test_a_request_is_refused_with_code_and_message(joc: Joc, row: str) -> None:
    path, body, code, message = REFUSED[row]

    assert joc(path, body) == (420, {**SAID, "error": {"code": code, "message": message}})


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"{", "is not JSON: "),
        (b"\xff", "is not JSON: "),
        (b'{"orderIds": NaN}', "NaN is not a JSON value"),
        (b'{"kill": true, "kill": false}', "repeats the member 'kill'"),
        (b"[]", "must be a JSON object"),
        (b'"' + b"x" * (256 * 1024) + b'"', "the body must not be larger than 256 KB"),
    ],
)
def test_a_body_that_is_not_json_is_refused(joc: Joc, raw: bytes, expected: str) -> None:
    status, answer = joc.send(
        f"{BASE}/orders/cancel", raw=raw, headers={"X-Access-Token": joc.token("operator")}
    )

    assert (status, answer["error"]["code"]) == (420, "JOC-420")
    assert answer["error"]["message"].startswith("SOSJsonSchemaException: ")
    assert expected in answer["error"]["message"]


class TestLenience:
    """Unknown fields are ignored, null is a missing field, and a flag or number may be a text. Source: B.2, B.6."""

    def test_lenient_values_are_accepted(self, joc: Joc) -> None:
        joc.workflow()
        order = joc.added(scheduledFor="now+3600")
        body = {
            "orderIds": [order, order],
            "kill": "true",
            "deep": 0,
            "dateFrom": None,
            "auditLog": {"timeSpent": "5", "comment": 7, "unknown": {}},
            "somethingElse": [1],
        }

        assert joc("/orders/cancel", body)[0] == 200
        (entry,) = (one for one in joc.ports.instances.audit if one.command == "cancel")
        assert (entry.minutes_spent, entry.reason, entry.options) == (5, "7", ("kill",))


class TestForcedComments:
    """If the deployment demands a comment, a command without one is 420, JOC-300."""

    @pytest.mark.parametrize(
        "path",
        ["cancel", "suspend", "resume", "continue", "confirm", "add"],
        ids=lambda path: f"/orders/{path}",
    )
    @pytest.mark.parametrize("log", [{}, {"comment": ""}, {"timeSpent": 2}])
    def test_a_command_without_comment_is_refused(
        self, joc: Joc, monkeypatch: pytest.MonkeyPatch, path: str, log: dict[str, Any]
    ) -> None:
        set_to(monkeypatch, joc, "JOC_FORCE_COMMENTS")
        what: dict[str, Any] = {"orders": [{"workflowPath": "/a"}]} if path == "add" else ONE

        _, answer = joc(f"/orders/{path}", {**what, "auditLog": log})

        assert answer["error"] == {
            "code": "JOC-300",
            "message": "JocMissingCommentException: missing comment",
        }

    def test_a_command_with_comment_is_accepted(self, joc: Joc, monkeypatch: pytest.MonkeyPatch) -> None:
        set_to(monkeypatch, joc, "JOC_FORCE_COMMENTS")

        assert joc("/orders/resume", {**ONE, "auditLog": {"comment": "why"}})[0] == 200


def set_to(monkeypatch: pytest.MonkeyPatch, joc: Joc, name: str) -> None:
    """Return a deployment with a setting that is true."""
    monkeypatch.setenv(name, "true")
    bootstrap.forget()
    bootstrap.use_ports(joc.ports)


class Broken(MemoryInstances):
    """A store that fails with an unknown error."""

    def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
        raise RuntimeError(f"secret detail of {len(sids)}")


class TestOurOwnFailures:
    """If a failure is ours, the answer is 500 in the dialect's shape, with an id that the log has too."""

    def test_a_failure_of_ours_reveals_nothing_but_its_id(
        self, joc: Joc, caplog: pytest.LogCaptureFixture
    ) -> None:
        joc.ports.instances = Broken()

        status, answer = joc("/orders/cancel", ONE)

        assert status == 500
        assert answer["error"]["code"] == "JOC-420"
        assert "secret detail" not in json.dumps(answer)
        assert [one.__dict__["errorId"] for one in caplog.records] == [answer["error"]["errorId"]]
        assert "secret detail" in caplog.text


def test_an_order_without_stored_workflow_is_a_failure_of_ours(joc: Joc) -> None:
    sid = joc.order(joc.workflow())
    joc.ports.strategies.heads.clear()

    assert joc("/order", {"orderId": sid})[0] == 500


class Busy(MemoryInstances):
    """A store that is overloaded, or fails with another ``error``."""

    error: type[Exception] = OverloadedError

    def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
        raise self.error(str(len(sids)))


class TestOverload:
    """An overload is reported as such, and so is a store that gives no answer."""

    def test_a_silent_store_is_reported(self, joc: Joc) -> None:
        store = Busy()
        store.error = ConnectionLostError
        joc.ports.instances = store

        status, answer = joc("/orders/cancel", ONE)

        assert (status, answer["error"]["code"]) == (420, "JOC-420")
        assert answer["error"]["message"] == (
            "JocException: the database gave no answer; the request may have taken effect, repeat it"
        )

    def test_an_overloaded_store_is_reported(self, joc: Joc) -> None:
        joc.ports.instances = Busy()

        status, answer = joc("/orders/cancel", ONE)

        assert (status, answer["error"]["code"]) == (420, "JOC-420")
        assert answer["error"]["message"] == "JocException: too many requests; retry later"


def test_every_code_has_the_vendors_form() -> None:
    assert sorted({code.code for code in Code}) == [
        "JOC-002",
        "JOC-161",
        "JOC-300",
        "JOC-400",
        "JOC-404",
        "JOC-405",
        "JOC-420",
    ]


def test_dates_are_in_milliseconds_of_utc(joc: Joc) -> None:
    joc.ports.clock.at = datetime.fromisoformat("2026-01-01T12:00:01.250+00:00")

    _, answer = joc.send(f"{BASE}/orders", MINE, headers={"X-Access-Token": joc.token("viewer")})

    assert answer["deliveryDate"] == answer["surveyDate"] == "2026-01-01T12:00:01.250Z"
