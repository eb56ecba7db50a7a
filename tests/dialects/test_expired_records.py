"""Requests in every dialect about events whose records have expired.

Source: docs/decisions/0052-records-and-audit-expire.md; docs/operations.md (retention).
"""

from datetime import timedelta
from typing import Any

import pytest

from dev.examples import Ids
from dev.memory.expiry import MemoryExpiry
from shared.application.expire import expire
from shared.domain.ids import InstanceSid
from shared.domain.instance.run import Intent
from tests.dialects.core.client import WATER, Client
from tests.dialects.everybody import Everybody
from tests.dialects.test_across import PLAIN

A_DAY = timedelta(days=1)
RUNS = 6
"""How many times each instance has run, once a month; the records of the first four have expired."""


def due(client: Client) -> MemoryExpiry:
    return MemoryExpiry(instances=client.ports.instances, clock=client.ports.clock)


@pytest.fixture
def sid(client: Client) -> str:
    """Return an instance that has run for months, with the records of the first months gone, and their journals."""
    sid = client.one()
    assert client.ports.instances.instances[InstanceSid(sid)].next_seq == 2
    for _ in range(RUNS):
        (event,) = client.ports.instances.instances[InstanceSid(sid)].events
        client.ports.clock.at = max(event.due_at, client.ports.clock.at) + timedelta(seconds=1)
        client.run(sid)
    client.ports.clock.at += timedelta(days=20)
    expiry = due(client)
    expire(expiry, expiry.delete_due(), time_left=lambda: A_DAY)
    assert sorted(seq for _, seq in client.ports.instances.records) == [4, 5, 6]
    return sid


class TestCore:
    """Expired events are left out. If a request names an expired event, the answer is that for an unknown event."""

    def test_the_history_ends_where_nothing_is_kept(self, client: Client, sid: str) -> None:
        pages, cursor = [], ""
        while True:
            status, answer = client("GET", f"/execution-instance/{sid}/events?limit=2{cursor}")
            assert status == 200
            pages.append([event["sid"] for event in answer["items"]])
            if "nextCursor" not in answer:
                break
            cursor = f"&cursor={answer['nextCursor']}"
        assert pages == [[f"{sid}-7", f"{sid}-6"], [f"{sid}-5", f"{sid}-4"], []]

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "", None),
            ("POST", "/retry", None),
            ("POST", "/cancel", None),
            ("POST", "/execute", None),
            ("POST", "/resolve", {"decision": "skip"}),
        ],
    )
    def test_an_expired_event_is_not_found(
        self, client: Client, sid: str, method: str, path: str, body: Any
    ) -> None:
        before = client.ports.instances.instances[InstanceSid(sid)]
        status, answer = client(method, f"/execution-event/{sid}-1{path}", body)
        unknown = client(method, f"/execution-event/{sid}-99{path}", body)

        assert (status, answer) == unknown
        assert status == 404
        assert client.ports.instances.instances[InstanceSid(sid)] == before

    def test_an_answer_to_an_expired_event_is_not_found(self, client: Client) -> None:
        sid = client.one()
        client.ports.clock.at += timedelta(seconds=2)
        client.run(sid)
        record = client.ports.instances.records[InstanceSid(sid), 1]
        then = record.event.progress.first_action
        assert isinstance(then, Intent)
        path = f"/execution-event/{then.correlation_id}/resume"
        assert client("POST", path, {})[0] == 409
        client.ports.clock.at += timedelta(days=91)
        expiry = due(client)
        assert len(expiry.delete_due()) == 1

        assert client("POST", path, {})[0] == 404
        assert client.ports.instances.answers == {}

    def test_the_time_of_an_expired_event_is_unknown_and_later_ones_are_explained(
        self, client: Client, sid: str
    ) -> None:
        instance = client.ports.instances.instances[InstanceSid(sid)]
        kept = client.ports.instances.records[instance.sid, 5].event.first_due_at
        reasons = {}
        for name, at in (("gone", instance.created_at + 10 * A_DAY), ("kept", kept)):
            status, answer = client("GET", f"/execution-instance/{sid}/explain?at={at:%Y-%m-%dT%H:%M:%SZ}")
            assert status == 200
            reasons[name] = answer["reason"]
        assert reasons == {"gone": "UNKNOWN", "kept": "RAN"}

    def test_everything_else_works_as_before(self, client: Client, sid: str) -> None:
        assert client("GET", f"/execution-instance/{sid}")[1]["cycle"] == RUNS + 1
        assert client("GET", f"/execution-instance/{sid}/forecast")[0] == 200
        assert client("GET", "/overview")[1]["lastDay"]["processed"] == 0
        assert client("GET", "/problems")[1]["items"] == []
        assert client("GET", f"/audit?target={sid}")[0] == 200
        assert client("POST", f"/execution-instance/{sid}/pause")[0] == 200
        assert client("POST", f"/execution-instance/{sid}/resume")[0] == 200
        assert client("POST", f"/execution-instance/{sid}/cancel")[0] == 200


class TestAFailedEvent:
    """While it is listed as a problem it keeps everything; once it is dismissed it expires."""

    @pytest.fixture
    def failed(self, client: Client) -> str:
        sid = client.one()
        client.shop.is_silent = True
        client.ports.clock.at += timedelta(seconds=2)
        client.run(sid)
        client.shop.is_silent = False
        assert [one["kind"] for one in client("GET", "/problems")[1]["items"]] == ["EXHAUSTED"]
        return sid

    def wait(self, client: Client) -> None:
        client.ports.clock.at += timedelta(days=91)
        expiry = due(client)
        batch = expiry.delete_due()
        assert len(batch) == 1
        expire(expiry, batch, time_left=lambda: A_DAY)

    def test_it_can_be_retried_as_long_as_it_is_a_problem(self, client: Client, failed: str) -> None:
        self.wait(client)
        (problem,) = client("GET", "/problems")[1]["items"]
        assert problem["call"]["step"] == "ship"

        assert client("POST", f"/execution-event/{failed}-1/retry")[0] == 200
        client.run(failed)
        # Its call has been in doubt for longer than sixty days.
        assert [one["kind"] for one in client("GET", "/problems")[1]["items"]] == ["IN_DOUBT"]
        assert client("POST", f"/execution-event/{failed}-1/resolve", {"decision": "retry"})[0] == 200
        client.run(failed)
        assert client("GET", f"/execution-event/{failed}-1")[1]["event"]["status"] == "PROCESSED"
        assert len(set(client.shop.keys)) == 1, "the unanswered call keeps its key"

    def test_once_it_is_dismissed_it_is_unknown(self, client: Client, failed: str) -> None:
        assert client("POST", f"/execution-instance/{failed}/dismiss", {"comment": "it is settled"})[0] == 200
        self.wait(client)
        assert client("POST", f"/execution-event/{failed}-1/retry")[0] == 404
        assert client("GET", f"/execution-event/{failed}-1")[0] == 404
        assert client("GET", "/problems")[1]["items"] == []


class TestTheOtherDialects:
    """Their lists leave out expired runs, and their statuses stay."""

    @pytest.fixture
    def everybody(self, client: Client) -> Everybody:
        client.ports.ids = Ids()
        client.saved(PLAIN)
        return Everybody(client.ports)

    def once(self, everybody: Everybody, client: Client) -> tuple[str, str]:
        """Return a process that has run once and completed, and its strategy."""
        body = {"name": "plain", "values": {"customerId": "c"}, "runOnce": "Y"}
        sid = everybody.process("POST", "/start", body)["robustaSpid"]
        client.ports.clock.at += timedelta(minutes=5)
        everybody.run(sid)
        instance = client.ports.instances.instances[InstanceSid(sid)]
        assert instance.status.value == "COMPLETED"
        return sid, instance.strategy_sid

    def test_a_completed_process_has_no_outcome_any_more(self, everybody: Everybody, client: Client) -> None:
        sid, strategy = self.once(everybody, client)
        workflow = f"/definitions/{strategy}/workflows/{sid}"
        before = everybody.statuses(sid, definition=strategy)
        assert before[3] == "SUCCEEDED"
        assert len(everybody.orders("/orders/history", orderId=sid)["history"]) == 1
        assert len(everybody.orders("/orders/history")["history"]) == 1
        shown = everybody.automation("GET", workflow).decoded

        client.ports.clock.at += timedelta(days=91)
        expiry = due(client)
        expire(expiry, expiry.delete_due(), time_left=lambda: A_DAY)

        assert everybody.statuses(sid, definition=strategy) == (*before[:3], "WAITING")
        seen = everybody.process("GET", f"/status/{sid}")
        assert seen["message"] == "Your transaction has ended; no outcome of it is kept."
        assert everybody.orders("/orders/history", orderId=sid)["history"] == []
        assert everybody.orders("/orders/history")["history"] == []
        assert everybody.automation("GET", workflow).decoded == shown
        assert everybody.automation("GET", f"{workflow}/errors").decoded == []


def test_the_strategy_is_monthly() -> None:
    """The fixtures count on it."""
    (calendar,) = WATER["settings"]["schedule"]["calendars"]
    assert calendar["scheduleAfter"] == {"unit": "months", "amount": 1}
