"""One instance in all four dialects, made in each of them. Source: docs/contracts/mapping.md."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dev.examples import Ids
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from tests.dialects.core.client import WATER, Client
from tests.dialects.everybody import Everybody
from tests.domain.instance.test_phase import ROWS

PLAIN: dict[str, Any] = {"name": "plain", "secret": WATER["secret"], "settings": WATER["settings"]}
WORKFLOW = {
    "trigger": "http_request",
    "status": "enabled",
    "definition": {
        "name": "Wait, then call",
        "steps": [
            {"id": "wait", "stepType": "Wait", "inputs": {"duration": "1.00:00:00"}, "nextStepId": "call"},
            {
                "id": "call",
                "stepType": "HttpRequest",
                "inputs": {"url": "https://shop.example.com/things", "method": "POST"},
            },
        ],
    },
}


@pytest.fixture
def everybody(client: Client) -> Everybody:
    """A client of all dialects in an account with one strategy: ``plain``."""
    client.ports.ids = Ids()
    client.saved(PLAIN)
    return Everybody(client.ports)


class TestMadeInCore:
    """An instance of core is suspended in 8x8, resumed in JOC, and terminated in 8x8."""

    def test_every_dialect_sees_and_commands_the_instance(self, everybody: Everybody) -> None:
        made = everybody.core(
            "POST",
            "/execution-instance",
            {"strategyId": "plain", "attributes": {"customerId": "c"}, "startDate": "2026-02-01T00:00:00Z"},
            secret=PLAIN["secret"],
        )
        sid = made["executionInstance"]["sid"]
        of = {"definition": made["createdEvents"]["mainEvent"]["strategySid"]}
        workflow = f"/definitions/{of['definition']}/workflows/{sid}"
        assert everybody.statuses(sid, **of) == ("ACTIVE", "Runnable", "SCHEDULED", "WAITING")

        assert everybody.automation("PATCH", workflow, {"status": "suspend"}).decoded is None
        assert everybody.statuses(sid, **of) == ("PAUSED", "Suspended", "SUSPENDED", "WAITING")

        assert everybody.orders("/orders/resume", orderIds=[sid])["ok"] is True
        assert everybody.statuses(sid, **of) == ("ACTIVE", "Runnable", "SCHEDULED", "WAITING")

        assert everybody.automation("PATCH", workflow, {"status": "terminate"}).decoded is None
        assert everybody.statuses(sid, **of) == ("CANCELED", "Terminated", "CANCELLED", "FAILED")
        read = everybody.core("GET", f"/execution-instance/{sid}", secret=PLAIN["secret"])
        assert (read["status"], read["cancelReason"]) == ("CANCELED", "HTTP_REQUEST")


class TestMadeInAutomation:
    """A workflow is paused in core, resumed in 8x8, and canceled in JOC."""

    def test_every_dialect_sees_and_commands_the_instance(self, everybody: Everybody) -> None:
        made = everybody.automation("POST", "/definitions", WORKFLOW).decoded
        definition = made["id"]
        started = everybody.automation(
            "POST", f"/definitions/{definition}/workflows", {"customer": {"id": 7}}
        )
        sid, of = started.decoded["workflowId"], {"definition": definition}
        everybody.run(sid)
        assert everybody.statuses(sid, **of) == ("ACTIVE", "Runnable", "WAITING", "RUNNING")

        everybody.core("POST", f"/execution-instance/{sid}/pause")
        assert everybody.statuses(sid, **of) == ("PAUSED", "Suspended", "SUSPENDED", "WAITING")

        everybody.automation("PATCH", f"/definitions/{definition}/workflows/{sid}", {"status": "resume"})
        everybody.ports.clock.at += timedelta(days=2)
        everybody.run(sid)
        assert everybody.statuses(sid, **of) == ("COMPLETED", "Complete", "FINISHED", "SUCCEEDED")

    def test_an_instance_of_automation_can_be_canceled_in_core(self, everybody: Everybody) -> None:
        definition = everybody.automation("POST", "/definitions", WORKFLOW).decoded["id"]
        started = everybody.automation("POST", f"/definitions/{definition}/workflows", {})
        sid = started.decoded["workflowId"]

        assert everybody.orders("/orders/cancel", orderIds=[sid])["ok"] is True

        seen = everybody.statuses(sid, definition=definition)
        assert seen == ("CANCELED", "Terminated", "CANCELLED", "FAILED")


class TestMadeInOrders:
    """An order is suspended in JOC, resumed in 8x8, and canceled in core."""

    def test_every_dialect_sees_and_commands_the_instance(self, everybody: Everybody) -> None:
        order = {
            "workflowPath": "/plain",
            "orderName": "big",
            "scheduledFor": "2026-02-01 00:00:00",
            "arguments": {"customerId": "c"},
        }
        (order_id,) = everybody.orders("/orders/add", orders=[order])["orderIds"]
        (sid,) = everybody.ports.instances.instances
        strategy = everybody.ports.instances.instances[sid].strategy_sid
        of = {"definition": strategy, "order": order_id}
        assert everybody.statuses(sid, **of) == ("ACTIVE", "Runnable", "SCHEDULED", "WAITING")

        everybody.orders("/orders/suspend", orderIds=[order_id])
        assert everybody.statuses(sid, **of) == ("PAUSED", "Suspended", "SUSPENDED", "WAITING")

        everybody.automation("PATCH", f"/definitions/{strategy}/workflows/{sid}", {"status": "resume"})
        assert everybody.statuses(sid, **of) == ("ACTIVE", "Runnable", "SCHEDULED", "WAITING")

        everybody.core("POST", f"/execution-instance/{sid}/cancel", secret=PLAIN["secret"])
        assert everybody.statuses(sid, **of) == ("CANCELED", "Terminated", "CANCELLED", "FAILED")


class TestMadeInProcess:
    """A process is suspended in JOC, resumed in core, and terminated in 8x8."""

    def test_every_dialect_sees_and_commands_the_instance(self, everybody: Everybody) -> None:
        body = {"name": "plain", "values": {"customerId": "c"}, "quartzDef": "0 6 6 ? * FR", "runOnce": "N"}
        sid = everybody.process("POST", "/start", body)["robustaSpid"]
        strategy = everybody.ports.instances.instances[InstanceSid(sid)].strategy_sid
        of = {"definition": strategy}
        assert everybody.statuses(sid, **of) == ("ACTIVE", "Runnable", "SCHEDULED", "WAITING")

        everybody.orders("/orders/suspend", orderIds=[sid])
        assert everybody.statuses(sid, **of) == ("PAUSED", "Suspended", "SUSPENDED", "WAITING")
        assert everybody.process("GET", f"/status/{sid}")["message"] == "Process suspended"

        everybody.core("POST", f"/execution-instance/{sid}/resume", secret=PLAIN["secret"])
        assert everybody.statuses(sid, **of) == ("ACTIVE", "Runnable", "SCHEDULED", "WAITING")

        everybody.automation("PATCH", f"/definitions/{strategy}/workflows/{sid}", {"status": "terminate"})
        assert everybody.statuses(sid, **of) == ("CANCELED", "Terminated", "CANCELLED", "FAILED")
        assert everybody.process("GET", f"/status/{sid}")["message"] == "Process cancelled"


# docs/contracts/mapping.md D.3, by the rows of tests/domain/instance/test_phase.py: 8x8, JOC (with reason), Robusta.
# Where D.3 has "WAITING or last outcome", none has come yet.
CELLS: dict[str, tuple[str, str, str]] = {
    "without events": ("Runnable", "PENDING", "WAITING"),
    "to be run by hand, no date": ("Runnable", "PENDING", "WAITING"),
    "due now": ("Runnable", "SCHEDULED", "WAITING"),
    "to come": ("Runnable", "SCHEDULED", "WAITING"),
    "due": ("Runnable", "BLOCKED", "WAITING"),
    "told to run": ("Runnable", "BLOCKED", "WAITING"),
    "executing": ("Runnable", "RUNNING", "RUNNING"),
    "left by a crashed runner": ("Runnable", "RUNNING", "RUNNING"),
    "to go on": ("Runnable", "INPROGRESS", "RUNNING"),
    "paused by a pause that has ended": ("Runnable", "INPROGRESS", "RUNNING"),
    "to be retried": ("Runnable", "WAITING (DELAYING_RETRY)", "RUNNING"),
    "in a step's delay": ("Runnable", "WAITING (SLEEPING)", "RUNNING"),
    "waiting for an answer": ("Runnable", "WAITING (EXPECTING_NOTICES)", "RUNNING"),
    "to be confirmed": ("Runnable", "PROMPTING", "WAITING"),
    "paused": ("Suspended", "SUSPENDED", "WAITING"),
    "out of attempts": ("Suspended", "FAILED", "FAILED"),
    "canceled": ("Terminated", "CANCELLED", "FAILED"),
    "canceled: CONTROLLER_HELPER": ("Terminated", "CANCELLED", "FAILED"),
    "canceled: MAX_ATTEMPTS": ("Terminated", "CANCELLED", "FAILED"),
    "canceled: CREATE_CYCLE_ERROR": ("Terminated", "CANCELLED", "FAILED"),
    "completed": ("Complete", "FINISHED", "WAITING"),
}


def test_every_status_has_a_word_in_each_dialect() -> None:
    assert CELLS.keys() == ROWS.keys()


@pytest.mark.parametrize("row", CELLS)
def test_statuses_match_the_mapping_in_each_dialect(everybody: Everybody, row: str) -> None:
    sid, strategy = "01890a5d-ac96-774b-bcce-b302099a8057", next(iter(everybody.ports.strategies.heads))
    known = ROWS[row][0]
    instance = replace(
        known, sid=InstanceSid(sid), account_id=AccountId("a-1"), strategy_sid=StrategySid(strategy)
    )
    everybody.ports.instances.instances[instance.sid] = instance
    everybody.ports.clock.at = instance.created_at

    workflow = everybody.automation("GET", f"/definitions/{strategy}/workflows/{sid}").decoded
    state = everybody.orders("/order", orderId=sid)["state"]
    reason = f" ({state['_reason']})" if "_reason" in state else ""
    process = everybody.process("GET", f"/status/{sid}")

    assert (workflow["status"], state["_text"] + reason, process["status"]) == CELLS[row]
