"""History, explanations and retries. Source: docs/contracts/core.md section 5."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.memory.world import ManualClock
from shared.domain.calendar.dates import format_instant
from shared.domain.explain.reasons import Reason
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut, TokenRefused
from tests.dialects.core.client import WATER, Client
from tests.dialects.wire import NOON

SECRETIVE = "t0ken-of-a-bot"


class Counter:
    """A service with given answers, one a call; afterwards it accepts every order."""

    def __init__(self, *answers: CallOutcome) -> None:
        self.answers = list(answers)
        self.keys: list[str] = []

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.keys.append(request.headers["Idempotency-Key"])
        return self.answers.pop(0) if self.answers else Answered(status=201, body={"id": "s-1"})


class RunningClock(ManualClock):
    """A clock that advances by a millisecond whenever it is read."""

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at


DECLINED = Answered(status=402, body={"why": "no money"})
SILENT = TimedOut(why="read timed out")


def two_steps(**retry: Any) -> dict[str, Any]:
    """Return the water filter, packed before it is shipped, with secrets at every place of a request."""
    strategy: dict[str, Any] = json.loads(json.dumps(WATER))
    settings = strategy["settings"]
    settings["services"][0]["methods"][0]["url"] = f"/{SECRETIVE}/shipments?token={SECRETIVE}"
    settings["actions"][0]["params"] = {"key": SECRETIVE}
    settings["actions"][0]["headers"] = {"x-api-key": SECRETIVE}
    settings["actions"][0]["data"]["password"] = SECRETIVE
    task = settings["tasks"][0]
    task["initialStep"] = "pack"
    task["steps"].insert(0, {"key": "pack", "action": "ship-filter", "nextStep": "ship"})
    if retry:
        task["retryConfig"] = {"jitterPercent": 0, **retry}
    return strategy


def started(
    client: Client, *answers: CallOutcome, strategy: Any = None, runs: bool = True, **more: Any
) -> str:
    """Return an instance whose services answer like this, after its first event has run."""
    client.saved(strategy or two_steps())
    sid = str(client.started(**more)["executionInstance"]["sid"])
    client.ports.caller = Counter(*answers)
    if runs:
        client.run(sid)
    return sid


def history(client: Client, sid: str, query: str = "") -> Any:
    status, answer = client("GET", f"/execution-instance/{sid}/events{query}")
    assert status == 200, answer
    return answer


def why(client: Client, sid: str, at: str | None = None) -> Any:
    status, answer = client("GET", f"/execution-instance/{sid}/explain" + (f"?at={at}" if at else ""))
    assert status == 200, answer
    return answer


# The answer of a service that accepts the order.
OK = Answered(status=200, body={})


class TestHistory:
    """The history has every event of an instance, newest first, with every step of every run."""

    def test_open_and_closed_events_have_all_steps(self, client: Client) -> None:
        sid = started(
            client, OK, SILENT, OK, strategy=two_steps(times=1, retryAfter={"unit": "hours", "amount": 1})
        )
        client.ports.clock.at += timedelta(hours=1)
        client.run(sid)

        answer = history(client, sid)

        assert "nextCursor" not in answer
        upcoming, ran = answer["items"]
        assert (upcoming["sid"], upcoming["status"], upcoming["steps"]) == (f"{sid}-2", "PENDING", [])
        assert (ran["status"], ran["closedBy"], ran["run"], ran["inDoubt"]) == ("PROCESSED", "RUN", 2, True)
        assert [(s["step"], s["run"], s["attempt"], s["outcome"], s["fromCache"]) for s in ran["steps"]] == [
            ("pack", 1, 1, "SUCCEEDED", False),
            ("ship", 1, 1, "UNANSWERED", False),
            ("pack", 2, 2, "FROM_CACHE", True),
            ("ship", 2, 2, "SUCCEEDED", False),
        ]
        pack, silent, cached, ship = ran["steps"]
        assert (pack["status"], pack["duration"], pack["callKey"]) == (200, 0, f"{sid}-1-1-1")
        assert (silent["inDoubt"], silent["error"]["message"]) == (True, "no answer: read timed out")
        assert "status" not in silent
        assert (ship["repeated"], ship["callKey"]) == (True, silent["callKey"])
        assert "request" not in cached

    def test_a_call_that_was_refused_for_now_is_shown_everywhere(self, client: Client) -> None:
        busy = Answered(status=429, retry_after=timedelta(hours=2))
        sid = started(client, OK, busy, strategy=two_steps(times=0))
        now = client.ports.clock.now()
        wait = {"since": format_instant(now), "until": format_instant(now + timedelta(hours=2))}
        message = "warehouse/create-shipment returned HTTP 429"

        (waiting,) = history(client, sid)["items"]
        assert (waiting["status"], waiting["attempt"], "inDoubt" in waiting) == ("PENDING", 1, False)
        refused = waiting["steps"][-1]
        assert (refused["outcome"], refused["status"], refused["until"]) == ("REFUSED", 429, wait["until"])
        assert "inDoubt" not in refused

        _, shown = client("GET", f"/execution-event/{sid}-1")
        assert shown["event"]["refused"] == {
            "step": "ship",
            "message": message,
            "status": 429,
            "times": 1,
            **wait,
        }
        assert [result["step"] for result in shown["event"]["taskStatus"]["taskResults"]] == ["pack"]

        explained = why(client, sid)
        assert {name: explained[name] for name in ("reason", "since", "until", "why")} == {
            "reason": "WAITING_FOR_SERVICE",
            "why": message,
            **wait,
        }

        client.ports.clock.at += timedelta(hours=2)
        client.run(sid)

        closed = history(client, sid)["items"][-1]
        assert [step["outcome"] for step in closed["steps"]] == ["SUCCEEDED", "REFUSED", "SUCCEEDED"]
        assert closed["steps"][1]["callKey"] == closed["steps"][2]["callKey"]
        _, shown = client("GET", f"/execution-event/{sid}-1")
        assert "refused" not in shown["event"]
        assert "inDoubt" not in shown["event"]

    def test_a_call_without_a_token_shows_no_status(self, client: Client) -> None:
        refused = TokenRefused(why="no token: the authorization returned HTTP 503")
        sid = started(client, OK, refused, refused, strategy=two_steps(times=0))

        _, shown = client("GET", f"/execution-event/{sid}-1")

        assert shown["event"]["refused"]["message"] == "no token: the authorization returned HTTP 503"
        assert "status" not in shown["event"]["refused"]

    def test_a_request_is_shown_by_digest_method_and_host(self, client: Client) -> None:
        sid = started(client, OK, DECLINED)
        client("POST", f"/execution-event/{sid}-1/retry")
        client.run(sid)

        (event,) = history(client, sid)["items"]

        calls = [step["request"] for step in event["steps"] if "request" in step]
        assert [(c["action"], c["method"], c["host"]) for c in calls] == [
            ("ship-filter", "POST", "127.0.0.1:4010")
        ] * 3
        assert len({call["digest"] for call in calls}) == 1, "the same request each time"
        assert len(calls[0]["digest"]) == 22

    def test_secrets_of_a_request_are_neither_shown_nor_stored(self, client: Client) -> None:
        sid = started(client, OK, DECLINED)

        decoded = json.dumps(history(client, sid))

        kept = repr((client.ports.instances.journal, client.ports.instances.records))
        assert SECRETIVE not in decoded
        assert SECRETIVE not in kept

    def test_history_has_no_responses(self, client: Client) -> None:
        sid = started(client, Answered(status=200, body={"much": "text"}))
        assert "text" not in json.dumps(history(client, sid))
        assert "text" in json.dumps(client("GET", f"/execution-event/{sid}-1")[1])

    def test_the_history_has_pages(self, client: Client) -> None:
        sid = started(client)
        for _ in range(4):
            client("POST", f"/execution-instance/{sid}/events", {"task": "send-refill"})

        first = history(client, sid, "?limit=4")
        second = history(client, sid, f"?limit=4&cursor={first['nextCursor']}")

        seqs = [item["sid"].rpartition("-")[2] for page in (first, second) for item in page["items"]]
        assert seqs == ["6", "5", "4", "3", "2", "1"]
        assert "nextCursor" not in second

    def test_a_cursor_of_another_instance_is_refused(self, client: Client) -> None:
        sid = started(client)
        cursor = history(client, sid, "?limit=1")["nextCursor"]
        other = client.started()["executionInstance"]["sid"]

        status, answer = client("GET", f"/execution-instance/{other}/events?cursor={cursor}")

        assert (status, answer["problems"][0]["pointer"]) == (400, "/cursor")

    @pytest.mark.parametrize("query", ["?limit=0", "?limit=101", "?cursor=x", "?what=1"])
    def test_invalid_parameters_are_refused(self, client: Client, query: str) -> None:
        sid = started(client)
        assert client("GET", f"/execution-instance/{sid}/events{query}")[0] == 400

    def test_history_has_skipped_dates_and_the_canceler(self, client: Client) -> None:
        strategy = two_steps()
        strategy["settings"]["schedule"]["calendars"][0]["scheduleAfter"] = {"unit": "days", "amount": 1}
        sid = started(client, strategy=strategy, runs=False)
        client("POST", f"/execution-instance/{sid}/pause")
        client.ports.clock.at += timedelta(days=5)
        client("POST", f"/execution-instance/{sid}/resume", more={"audit-comment": "back again"})
        client("POST", f"/execution-event/{sid}-2/cancel", more={"audit-comment": "moving"})

        _, canceled, skipped = history(client, sid)["items"]

        assert (skipped["closedBy"], skipped["by"], skipped["reason"]) == ("LATE_PLAN", "admin", "back again")
        assert skipped["skippedCycles"] == {"first": 1, "last": 4}
        assert skipped["skippedUntil"] == "2026-01-04T12:00:00.000Z"
        assert (canceled["closedBy"], canceled["by"], canceled["reason"]) == ("OPERATOR", "admin", "moving")


class TestExplaining:
    """An explanation says why something did or did not run at a time."""

    def test_a_finished_event_is_explained(self, client: Client) -> None:
        sid = started(client)

        answer = why(client, sid, "2026-01-01T12:00:00Z")

        assert (answer["reason"], answer["since"]) == ("RAN", "2026-01-01T12:00:00.000Z")
        (event,) = answer["events"]
        assert (event["sid"], event["task"], event["cycle"]) == (f"{sid}-1", "send-refill", 1)
        assert (event["executedAt"], event["status"]) == ("2026-01-01T12:00:00.000Z", "PROCESSED")
        assert answer["instance"] == {"status": "ACTIVE"}
        assert (answer["after"]["sid"], answer["after"]["date"]) == (f"{sid}-2", "2026-02-01T12:00:00.000Z")

    def test_an_event_that_waits_for_its_retry_is_explained(self, client: Client) -> None:
        retry = {"times": 1, "retryAfter": {"unit": "hours", "amount": 1}}
        sid = started(client, OK, DECLINED, strategy=two_steps(**retry))

        answer = why(client, sid)

        assert (answer["reason"], answer["until"]) == ("WAITING_FOR_RETRY", "2026-01-01T13:00:00.000Z")
        assert answer["why"] == "warehouse/create-shipment returned HTTP 402"

    def test_an_event_of_a_paused_instance_is_explained(self, client: Client) -> None:
        sid = started(client, runs=False)
        client("POST", f"/execution-instance/{sid}/pause", more={"audit-comment": "holiday"})
        client.ports.clock.at += timedelta(hours=1)

        answer = why(client, sid)

        assert (answer["reason"], answer["by"], answer["why"]) == ("PAUSED", "admin", "holiday")
        assert answer["instance"]["status"] == "PAUSED"

    def test_a_canceled_event_is_explained(self, client: Client) -> None:
        sid = started(client, runs=False)
        client("POST", f"/execution-instance/{sid}/cancel", more={"audit-comment": "moving"})

        answer = why(client, sid)

        assert (answer["reason"], answer["by"]) == ("CANCELED", "admin")
        assert answer["why"] == "instance canceled: HTTP_REQUEST: moving"

    def test_an_event_blocked_by_the_queue_is_explained(self, client: Client) -> None:
        sid = started(client, runs=False)
        client("DELETE", "/queue")
        client.run(sid)

        assert why(client, sid)["reason"] == "HELD_BY_QUEUE"

    def test_a_clock_that_goes_on_during_the_request_changes_nothing(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sid = started(client, runs=False)
        client("DELETE", "/queue")
        client.ports.clock.at += timedelta(minutes=2)
        monkeypatch.setattr(client.ports, "clock", RunningClock(client.ports.clock.at))

        assert why(client, sid)["reason"] == "HELD_BY_QUEUE"

    def test_an_event_blocked_by_its_strategy_is_explained(self, client: Client) -> None:
        strategy = client.saved(two_steps())["sid"]
        sid = client.started()["executionInstance"]["sid"]
        client("POST", f"/execution-strategy/{strategy}/pause")

        assert why(client, sid)["reason"] == "HELD_BY_STRATEGY"

    def test_a_date_skipped_on_resume_is_explained(self, client: Client) -> None:
        strategy = two_steps()
        strategy["settings"]["schedule"]["calendars"][0]["scheduleAfter"] = {"unit": "days", "amount": 1}
        sid = started(client, strategy=strategy, runs=False)
        client("POST", f"/execution-instance/{sid}/pause")
        client.ports.clock.at += timedelta(days=5)
        client("POST", f"/execution-instance/{sid}/resume", more={"audit-comment": "back again"})

        answer = why(client, sid, "2026-01-03T12:00:00Z")

        assert (answer["reason"], answer["by"], answer["why"]) == ("SKIPPED", "admin", "back again")
        (event,) = answer["events"]
        assert event["skippedCycles"] == {"first": 1, "last": 4}
        assert event["skippedUntil"] == "2026-01-04T12:00:00.000Z"

    def test_a_time_before_the_instance_is_explained(self, client: Client) -> None:
        sid = started(client)
        answer = why(client, sid, "2025-12-01T12:00:00Z")
        assert (answer["reason"], answer["since"]) == ("CREATED_LATER", "2026-01-01T12:00:00.000Z")
        assert "instance" not in answer

    def test_a_time_without_planned_event_is_explained(self, client: Client) -> None:
        sid = started(client)
        client.ports.clock.at += timedelta(days=20)
        answer = why(client, sid, "2026-01-15T12:00:00Z")
        assert (answer["reason"], answer["events"]) == ("NOT_PLANNED", [])
        assert answer["before"]["date"] == "2026-01-01T12:00:00.000Z"
        assert answer["after"]["date"] == "2026-02-01T12:00:00.000Z"

    def test_a_future_date_is_explained(self, client: Client) -> None:
        sid = started(client)
        answer = why(client, sid, "2026-04-01T11:00:00Z")
        assert (answer["reason"], answer["events"][0]["cycle"]) == ("NOT_YET_DUE", 4)
        assert "sid" not in answer["events"][0]

    @pytest.mark.parametrize(
        ("at", "rule"),
        [
            ("soon", "date"),
            ("2026-01-32", "date"),
            ("1999-12-31T23:59:59Z", "range"),
            ("3000-01-01T00:00:00Z", "range"),
        ],
    )
    def test_an_invalid_time_is_refused(self, client: Client, at: str, rule: str) -> None:
        sid = started(client)
        status, answer = client("GET", f"/execution-instance/{sid}/explain?at={at}")
        assert (status, answer["problems"][0]["pointer"], answer["problems"][0]["rule"]) == (400, "/at", rule)

    @pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.value)
    def test_every_reason_is_documented(self, reason: Reason) -> None:
        page = (Path(__file__).parents[3] / "docs" / "api" / "core.md").read_text()
        assert f"| `{reason.value}` |" in page


class TestRetrying:
    """If an event failed, it can be run again. Results of successful steps are kept."""

    def test_a_retried_event_runs_from_its_failed_step(self, client: Client) -> None:
        sid = started(client, OK, DECLINED)
        assert client("GET", f"/execution-event/{sid}-1")[1]["event"]["status"] == "FAILED"

        status, answer = client("POST", f"/execution-event/{sid}-1/retry", more={"audit-comment": "paid"})
        client.run(sid)

        assert (status, answer["status"], answer["run"], answer["attempt"]) == (200, "QUEUED", 2, 1)
        assert client.ports.wakeups.invoked[-1] == sid
        event = client("GET", f"/execution-event/{sid}-1")[1]["event"]
        assert (event["status"], event["run"]) == ("PROCESSED", 2)
        _, instance = client("GET", f"/execution-instance/{sid}")
        assert (instance["status"], instance["cancelReason"]) == ("CANCELED", "MAX_ATTEMPTS")
        assert [(e.command, e.reason) for e in client.ports.instances.audit if e.command == "retry"] == [
            ("retry", "paid")
        ]

    def test_a_declined_call_gets_a_new_key_and_an_unanswered_one_keeps_its_own(self, client: Client) -> None:
        sid = started(client, OK, SILENT)
        client("POST", f"/execution-event/{sid}-1/retry")
        client.ports.caller.answers.append(DECLINED)  # type: ignore[attr-defined]
        client.run(sid)
        client("POST", f"/execution-event/{sid}-1/retry", {})
        client.run(sid)

        keys = client.ports.caller.keys  # type: ignore[attr-defined]
        assert keys == [f"{sid}-1-1-1", f"{sid}-1-1-2", f"{sid}-1-1-2", f"{sid}-1-3-1"]

    def test_a_retry_can_begin_at_an_earlier_step(self, client: Client) -> None:
        sid = started(client, OK, DECLINED)
        status, _ = client("POST", f"/execution-event/{sid}-1/retry", {"fromStep": "pack"})
        client.run(sid)

        assert status == 200
        keys = client.ports.caller.keys  # type: ignore[attr-defined]
        assert keys[2:] == [f"{sid}-1-2-1", f"{sid}-1-2-2"]

    def test_a_repeated_retry_changes_nothing(self, client: Client) -> None:
        sid = started(client, OK, DECLINED)
        first = client("POST", f"/execution-event/{sid}-1/retry")
        assert client("POST", f"/execution-event/{sid}-1/retry") == first
        status, answer = client("POST", f"/execution-event/{sid}-1/retry", {"fromStep": "pack"})
        assert (status, answer["message"]) == (409, ["the event is already queued or running"])

    @pytest.mark.parametrize(
        ("body", "pointer", "rule"),
        [
            ({"fromStep": "none"}, "/fromStep", "reference"),
            ({"fromStep": ""}, "/fromStep", "too-short"),
            ({"fromStep": 3}, "/fromStep", "type"),
            ({"from": "pack"}, "/from", "unknown-field"),
        ],
    )
    def test_invalid_parameters_are_refused(self, client: Client, body: Any, pointer: str, rule: str) -> None:
        sid = started(client, OK, DECLINED)
        status, answer = client("POST", f"/execution-event/{sid}-1/retry", body)
        assert (status, answer["problems"][0]["pointer"], answer["problems"][0]["rule"]) == (
            400,
            pointer,
            rule,
        )

    def test_a_retry_from_a_step_that_did_not_run_is_refused(self, client: Client) -> None:
        sid = started(client, DECLINED)
        status, answer = client("POST", f"/execution-event/{sid}-1/retry", {"fromStep": "ship"})
        assert (status, answer["message"]) == (409, ["the last run of the event did not reach step 'ship'"])

    def test_a_retry_of_a_successful_event_is_refused(self, client: Client) -> None:
        sid = started(client)
        status, answer = client("POST", f"/execution-event/{sid}-1/retry")
        assert (status, answer["message"]) == (409, ["the event is PROCESSED"])

    def test_an_unknown_event_is_not_found(self, client: Client) -> None:
        sid = started(client)
        assert client("POST", f"/execution-event/{sid}-9/retry")[0] == 404

    def test_a_retry_continues_an_instance_that_ran_out_of_attempts(self, client: Client) -> None:
        sid = started(client, OK, DECLINED, strategy=two_steps(times=0, pauseBeforeCancel=True))
        assert client("GET", f"/execution-instance/{sid}")[1]["status"] == "PAUSED"

        client("POST", f"/execution-event/{sid}-1/retry")
        client.run(sid)

        assert client("GET", f"/execution-event/{sid}-1")[1]["event"]["status"] == "PROCESSED"
        assert client("GET", f"/execution-instance/{sid}")[1]["status"] == "ACTIVE"
        assert client.ports.clock.at == NOON
