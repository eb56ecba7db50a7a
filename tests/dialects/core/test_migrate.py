"""Migration in the core dialect. Source: docs/contracts/core.md section 5; docs/design.md section 7."""

import json
from datetime import timedelta
from typing import Any

from tests.dialects.core.client import WATER, Client


def every_ten_days() -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(json.dumps(WATER["settings"]))
    settings["schedule"]["calendars"][0]["scheduleAfter"] = {"unit": "days", "amount": 10}
    return settings


def prepared(client: Client) -> str:
    """Return the sid of an instance on version 1 of a strategy with two versions."""
    shop = client.saved()["sid"]
    sid = client.started(startDate="2026-01-31T10:00:00Z")["executionInstance"]["sid"]
    assert client("PATCH", f"/execution-strategy/{shop}", {"settings": every_ten_days()})[0] == 200
    return str(sid)


def runs(answer: dict[str, Any]) -> list[tuple[int, str]]:
    """Return cycle and day of each run in the plan of an answer."""
    return [(run["cycle"], run["date"][:10]) for run in answer["plan"]["runs"]]


class TestMigrating:
    """An instance is moved by hand. A preview shows the effect on its dates."""

    def test_a_preview_stores_nothing(self, client: Client) -> None:
        sid = prepared(client)
        before = client.ports.instances.load(sid)  # type: ignore[arg-type]

        status, answer = client("POST", f"/execution-instance/{sid}/migrate", {"version": 2, "dryRun": True})

        assert status == 200
        assert (answer["dryRun"], answer["from"], answer["to"]) == (True, 1, 2)
        assert answer["executionInstance"]["strategyVersion"] == 2
        assert answer["dates"]["move"][0] == {
            "cycle": 2,
            "task": "send-refill",
            "main": True,
            "date": "2026-02-10T10:00:00.000Z",
            "before": "2026-02-28T10:00:00.000Z",
        }
        assert len(answer["dates"]["move"]) == 11
        assert runs(answer) == [(1, "2026-01-31"), (2, "2026-02-10")]
        assert client.ports.instances.load(sid) is before  # type: ignore[arg-type]
        assert client.ports.instances.audit == []

    def test_a_migration_does_what_its_preview_said(self, client: Client) -> None:
        sid = prepared(client)
        _, decoded = client("POST", f"/execution-instance/{sid}/migrate", {"version": 2, "dryRun": True})

        status, answer = client("POST", f"/execution-instance/{sid}/migrate", {"version": 2})

        assert status == 200
        assert {**answer, "dryRun": True} == decoded
        assert client("GET", f"/execution-instance/{sid}")[1]["strategyVersion"] == 2
        _, forecast = client("GET", f"/execution-instance/{sid}/forecast?cycles=2")
        assert forecast["cycles"][1]["mainEvent"]["date"] == "2026-02-10T10:00:00.000Z"
        assert client.ports.wakeups.invoked[-1] == sid

    def test_a_repeated_migration_changes_nothing(self, client: Client) -> None:
        sid = prepared(client)
        client("POST", f"/execution-instance/{sid}/migrate", {"version": 2})

        status, answer = client("POST", f"/execution-instance/{sid}/migrate", {"version": 2})

        assert (status, answer["from"], answer["to"]) == (200, 2, 2)
        assert answer["dates"] == {"appear": [], "vanish": [], "move": []}
        assert runs(answer) == [(1, "2026-01-31"), (2, "2026-02-10")]
        assert len(client.ports.instances.audit) == 1

    def test_an_unknown_version_is_not_found(self, client: Client) -> None:
        sid = prepared(client)
        assert client("POST", f"/execution-instance/{sid}/migrate", {"version": 3})[0] == 404

    def test_invalid_bodies_are_refused(self, client: Client) -> None:
        sid = prepared(client)
        status, answer = client(
            "POST", f"/execution-instance/{sid}/migrate", {"version": 0, "dryRun": "yes", "x": 1}
        )
        assert status == 400
        assert [problem["pointer"] for problem in answer["problems"]] == ["/version", "/dryRun", "/x"]

    def test_events_of_a_removed_task_are_reported_as_canceled(self, client: Client) -> None:
        shop = client.saved()["sid"]
        sid = client.started(startDate="2026-01-31T10:00:00Z")["executionInstance"]["sid"]
        text = json.dumps(WATER["settings"]).replace("send-refill", "send-two")
        client("PATCH", f"/execution-strategy/{shop}", {"settings": json.loads(text)})

        _, answer = client("POST", f"/execution-instance/{sid}/migrate", {"version": 2})

        assert answer["canceledEvents"] == [
            {"sid": f"{sid}-1", "task": "send-refill", "date": "2026-01-31T10:00:00.000Z"}
        ]
        assert answer["executionInstance"]["nextEvent"]["date"] == "2026-02-28T10:00:00.000Z"
        assert runs(answer) == [(2, "2026-02-28"), (3, "2026-03-31")]
        assert answer["plan"]["canceledEvents"] == [
            {
                "sid": f"{sid}-1",
                "cycle": 1,
                "task": "send-refill",
                "date": "2026-01-31T10:00:00.000Z",
                "why": "version 2 has no such task",
            }
        ]
        client.ports.clock.at += timedelta(days=31)
        _, decoded = client("GET", f"/execution-instance/{sid}/explain?at=2026-01-31T10:00:00Z")
        assert decoded["events"][0]["reason"] == "SUPERSEDED"

    def test_a_migration_to_a_version_that_refuses_the_attributes_is_refused(self, client: Client) -> None:
        shop = client.saved()["sid"]
        sid = client.started()["executionInstance"]["sid"]
        both = {"customerId": {"type": "string"}, "other": {"type": "string"}}
        strict = {**WATER["settings"], "instanceValidation": {"properties": both}}
        client("PATCH", f"/execution-strategy/{shop}", {"settings": strict})
        status, answer = client("POST", f"/execution-instance/{sid}/migrate", {"version": 2})
        assert status == 422
        assert answer["message"][0].startswith("the attributes do not fit version 2: ")
        client("POST", f"/execution-instance/{sid}/cancel")
        assert client("POST", f"/execution-instance/{sid}/migrate", {"version": 2})[0] == 409
