"""Events in the core dialect. Source: docs/contracts/core.md, E1, E2 and section 5."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.dialects.core.client import WATER, Client


def by_hand() -> dict[str, Any]:
    """Return the water filter, shipped only when an operator says so."""
    strategy: dict[str, Any] = json.loads(json.dumps(WATER))
    strategy["settings"].setdefault("config", {})["manualTrigger"] = True
    return strategy


class TestReading:
    """E1: an event can be read, open or finished."""

    def test_open_and_finished_events_can_be_read(self, client: Client) -> None:
        sid = client.one()
        _, opened = client("GET", f"/execution-event/{sid}-1")
        client.ports.clock.at += timedelta(seconds=2)
        client.run(sid)

        status, answer = client("GET", f"/execution-event/{sid}-1")

        assert opened["event"]["status"] == "PENDING"
        assert opened["event"]["taskStatus"] == {"lastStep": None, "taskResults": []}
        event = answer["event"]
        assert status == 200
        assert (event["status"], event["attempt"], event["jobId"]) == ("PROCESSED", 1, "job-1")
        assert (event["scheduleDelta"], event["finishDelta"], event["executionTime"]) == (2000, 2000, 0)
        assert event["taskStatus"]["lastStep"] == "ship"
        assert event["taskStatus"]["taskResults"][0]["response"] == {"id": "s-1"}

    @pytest.mark.parametrize("sid", ["nonsense", "i0002-9", "i9999-1", "i0002-0", "i0002-99999999", "-1"])
    def test_an_unknown_event_is_not_found(self, client: Client, sid: str) -> None:
        client.one()

        assert client("GET", f"/execution-event/{sid}")[0] == 404


class TestExecuting:
    """An event runs now if it is on hold or waits for its date."""

    def test_an_onhold_event_is_queued_and_runs(self, client: Client) -> None:
        client.saved(by_hand())
        sid = client.started()["executionInstance"]["sid"]
        assert client("GET", f"/execution-event/{sid}-1")[1]["event"]["status"] == "ONHOLD"

        status, answer = client("POST", f"/execution-event/{sid}-1/execute")
        again = client("POST", f"/execution-event/{sid}-1/execute")

        assert (status, answer["status"]) == (200, "QUEUED")
        assert again == (200, answer)
        assert client.ports.wakeups.invoked[-1] == sid
        client.run(sid)
        assert client("GET", f"/execution-event/{sid}-1")[1]["event"]["status"] == "PROCESSED"

    def test_an_event_that_waits_for_its_date_is_queued(self, client: Client) -> None:
        client.saved()
        sid = client.started(startDate="2026-06-01T00:00:00Z")["executionInstance"]["sid"]

        _, answer = client("POST", f"/execution-event/{sid}-1/execute")

        assert (answer["status"], answer["date"]) == ("QUEUED", "2026-06-01T00:00:00.000Z")
        assert answer["scheduleDelta"] < 0

    def test_executing_a_finished_event_is_refused(self, client: Client) -> None:
        sid = client.one()
        client.run(sid)

        status, answer = client("POST", f"/execution-event/{sid}-1/execute")

        assert (status, answer["message"]) == (409, ["the event is PROCESSED"])


class TestCancelling:
    """E2: one event is canceled. If it is a main event, its cycle is skipped."""

    def test_cancelling_a_main_event_plans_the_next_cycle(self, client: Client) -> None:
        client.saved()
        sid = client.started(startDate="2026-01-31T10:00:00Z")["executionInstance"]["sid"]

        status, answer = client("POST", f"/execution-event/{sid}-1/cancel", more={"audit-comment": "moving"})

        assert (status, answer["status"], answer["why"]) == (200, "CANCELED", "canceled by an operator")
        _, instance = client("GET", f"/execution-instance/{sid}")
        assert (instance["status"], instance["cycle"]) == ("ACTIVE", 2)
        assert instance["nextEvent"]["date"] == "2026-02-28T10:00:00.000Z"
        (entry,) = client.ports.instances.audit
        assert (entry.command, entry.event, entry.reason) == ("cancel-event", f"{sid}-1", "moving")

    def test_cancelling_again_changes_nothing(self, client: Client) -> None:
        sid = client.one()
        first = client("POST", f"/execution-event/{sid}-1/cancel")

        assert client("POST", f"/execution-event/{sid}-1/cancel") == first
        assert len(client.ports.instances.audit) == 1

    def test_cancelling_an_event_that_ran_is_refused(self, client: Client) -> None:
        sid = client.one()
        client.run(sid)

        assert client("POST", f"/execution-event/{sid}-1/cancel")[0] == 409

    @pytest.mark.parametrize("command", ["execute", "cancel"])
    def test_an_unknown_event_is_not_found(self, client: Client, command: str) -> None:
        sid = client.one()

        assert client("POST", f"/execution-event/{sid}-9/{command}")[0] == 404


class TestAdding:
    """An event of any task can be added by hand."""

    def test_an_added_event_runs(self, client: Client) -> None:
        client.saved()
        sid = client.started(startDate="2026-06-01T00:00:00Z")["executionInstance"]["sid"]

        status, answer = client(
            "POST", f"/execution-instance/{sid}/events", {"task": "send-refill", "data": {"why": "lost"}}
        )
        client.run(sid)

        assert (status, answer["status"], answer["main"], answer["data"]) == (
            201,
            "PENDING",
            False,
            {"why": "lost"},
        )
        assert client("GET", f"/execution-event/{answer['sid']}")[1]["event"]["status"] == "PROCESSED"
        assert (
            client("GET", f"/execution-instance/{sid}")[1]["nextEvent"]["date"] == "2026-06-01T00:00:00.000Z"
        )

    def test_a_repeated_request_adds_no_event(self, client: Client) -> None:
        sid = client.one()
        key = {"idempotency-key": "k-1"}
        first = client("POST", f"/execution-instance/{sid}/events", {"task": "send-refill"}, more=key)
        client.run(sid)

        again = client("POST", f"/execution-instance/{sid}/events", {"task": "send-refill"}, more=key)
        other = client("POST", f"/execution-instance/{sid}/events", {"task": "x"}, more=key)

        assert (first[0], again[0], other[0]) == (201, 200, 422)
        assert first[1]["sid"] == again[1]["sid"]
        assert again[1]["status"] == "PROCESSED"

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/task"),
            ({"task": "none"}, "/task"),
            ({"task": "send-refill", "date": "soon"}, "/date"),
            ({"task": "send-refill", "data": {"n": 1}}, "/data/n"),
            ({"task": "send-refill", "data": {"n": "x" * 5000}}, "/data"),
            ({"task": "send-refill", "manualTrigger": "yes"}, "/manualTrigger"),
        ],
    )
    def test_invalid_bodies_are_refused(self, client: Client, body: dict[str, Any], pointer: str) -> None:
        sid = client.one()

        status, answer = client("POST", f"/execution-instance/{sid}/events", body)

        assert (status, answer["problems"][0]["pointer"]) == (400, pointer)


def paid() -> dict[str, Any]:
    """Return the water filter with an asynchronous delivery."""
    strategy: dict[str, Any] = json.loads(json.dumps(WATER))
    strategy["settings"]["services"][0]["methods"][0]["async"] = True
    return strategy


class TestAnswering:
    """E3: an asynchronous call is answered by its correlation id."""

    def waiting(self, client: Client) -> tuple[str, str]:
        """Return the sid of an event that waits for an answer, and the path for the answer."""
        client.saved(paid())
        sid = client.started()["executionInstance"]["sid"]
        client.run(sid)
        _, answer = client("GET", f"/execution-event/{sid}-1")
        event = answer["event"]
        assert (event["status"], event["pausedFor"]) == ("PAUSED", "ANSWER")
        assert event["taskStatus"]["taskResults"][0]["unanswered"] is True
        assert event["correlationId"].startswith(f"{sid}-1.")
        return f"{sid}-1", f"/execution-event/{event['correlationId']}/resume"

    def test_the_body_becomes_the_steps_response(self, client: Client) -> None:
        event, path = self.waiting(client)
        client.ports.clock.at += timedelta(hours=1)

        status, answer = client("POST", path, {"state": "ARRIVED"}, key="operator.secret")

        assert (status, answer["status"], answer["sid"]) == (200, "QUEUED", event)
        assert answer["scheduledAt"] == "2026-01-01T13:00:00.000Z"
        assert answer["scheduleDelta"] == 3_600_000
        assert "correlationId" not in answer
        client.run(event[:-2])
        _, decoded = client("GET", f"/execution-event/{event}")
        (result,) = decoded["event"]["taskStatus"]["taskResults"]
        assert (result["response"], result["cached"]) == ({"state": "ARRIVED"}, {"id": "s-1"})
        assert result["startedAt"] == "2026-01-01T12:00:00.000Z"
        assert decoded["event"]["status"] == "PROCESSED"
        assert "inDoubt" not in decoded["event"]

    def test_without_a_body_the_calls_reply_is_kept(self, client: Client) -> None:
        event, path = self.waiting(client)

        assert client("POST", path)[0] == 200
        client.run(event[:-2])

        _, decoded = client("GET", f"/execution-event/{event}")
        assert decoded["event"]["taskStatus"]["taskResults"][0]["response"] == {"id": "s-1"}

    def test_a_second_answer_is_refused_before_and_after_the_end(self, client: Client) -> None:
        event, path = self.waiting(client)
        client("POST", path, {"state": "ARRIVED"})

        before = client("POST", path, {"state": "ARRIVED"})
        client.run(event[:-2])
        after = client("POST", path, {"state": "ARRIVED"})

        assert (before[0], before[1]["message"]) == (
            409,
            ["the call with this correlation id no longer waits for an answer"],
        )
        assert (after[0], after[1]["message"]) == (409, ["the event is PROCESSED"])

    @pytest.mark.parametrize(
        ("raw", "rule", "pointer"),
        [
            (b"[1]", "type", ""),
            (b'"text"', "type", ""),
            (b"null", "type", ""),
            (b"{", "json", ""),
            (b'{"a": 1, "a": 2}', "repeated-member", ""),
            (b'{"a": "\\ud800"}', "text", "/a"),
        ],
    )
    def test_an_answer_that_is_not_an_object_is_refused(
        self, client: Client, raw: bytes, rule: str, pointer: str
    ) -> None:
        event, path = self.waiting(client)

        status, answer = client("POST", path, raw=raw)

        assert (status, answer["problems"][0]["rule"], answer["problems"][0]["pointer"]) == (
            400,
            rule,
            pointer,
        )
        assert client("GET", f"/execution-event/{event}")[1]["event"]["pausedFor"] == "ANSWER"

    @pytest.mark.parametrize("tail", ["-1.guessed", "-2.guessed", "-1", ""])
    def test_an_unknown_correlation_id_is_not_found(self, client: Client, tail: str) -> None:
        event, _ = self.waiting(client)
        assert client("POST", f"/execution-event/{event[:-2]}{tail}/resume", {})[0] == 404

    def test_a_guessed_correlation_id_after_the_end_is_not_found(self, client: Client) -> None:
        event, path = self.waiting(client)
        client("POST", path)
        client.run(event[:-2])
        assert client("POST", f"/execution-event/{event}.guessed/resume", {})[0] == 404

    def test_an_answer_is_accepted_while_the_instance_is_paused(self, client: Client) -> None:
        event, path = self.waiting(client)
        _, paused = client("POST", f"/execution-instance/{event[:-2]}/pause")
        assert paused["draining"] is False

        assert client("POST", path, {})[0] == 200

        client.run(event[:-2])
        assert client("GET", f"/execution-event/{event}")[1]["event"]["status"] == "QUEUED"
        client("POST", f"/execution-instance/{event[:-2]}/resume")
        client.run(event[:-2])
        assert client("GET", f"/execution-event/{event}")[1]["event"]["status"] == "PROCESSED"
