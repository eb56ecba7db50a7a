"""A pause that ends and a cancellation at a date, over HTTP.

Source: docs/decisions/0061-a-pause-that-ends-and-a-cancellation-at-a-date.md.
"""

from datetime import timedelta
from typing import Any

import pytest

from tests.dialects.core.client import Client

START = "2026-01-05T12:00:00Z"
MAIN = "2026-01-05T12:00:00.000Z"


@pytest.fixture
def sid(client: Client) -> str:
    """Return an instance whose first main event is due on 5 January; it is 1 January."""
    client.saved()
    return str(client.started(startDate=START)["executionInstance"]["sid"])


class TestPauses:
    """`until` is shown, changed, removed and checked; a dry run stores nothing."""

    def test_the_end_is_shown_with_what_runs_after_it(self, client: Client, sid: str) -> None:
        status, answer = client("POST", f"/execution-instance/{sid}/pause", {"until": "2026-01-03T00:00:00Z"})
        assert (status, answer["status"]) == (200, "PAUSED")
        assert answer["pausedUntil"] == "2026-01-03T00:00:00.000Z"
        assert answer["plan"]["runs"][0]["date"] == MAIN
        client.ports.clock.at += timedelta(days=2)
        client.run(sid)
        assert client("GET", f"/execution-instance/{sid}")[1]["status"] == "ACTIVE"

    def test_null_removes_the_end(self, client: Client, sid: str) -> None:
        client("POST", f"/execution-instance/{sid}/pause", {"until": "2026-01-03"})
        assert "pausedUntil" in client("POST", f"/execution-instance/{sid}/pause")[1]
        assert "pausedUntil" not in client("POST", f"/execution-instance/{sid}/pause", {"until": None})[1]

    def test_a_dry_run_stores_nothing(self, client: Client, sid: str) -> None:
        body = {"until": "2026-01-03T00:00:00Z", "dryRun": True}
        answer = client("POST", f"/execution-instance/{sid}/pause", body)[1]
        assert (answer["dryRun"], answer["status"], answer["pausedUntil"][:10]) == (
            True,
            "PAUSED",
            "2026-01-03",
        )
        assert client("GET", f"/execution-instance/{sid}")[1]["status"] == "ACTIVE"

    @pytest.mark.parametrize("until", ["2020-01-01", "2036-02-01", "soon", 7])
    def test_a_date_that_cannot_be_is_refused(self, client: Client, sid: str, until: Any) -> None:
        status, answer = client("POST", f"/execution-instance/{sid}/pause", {"until": until})
        assert (status, answer["problems"][0]["pointer"]) == (400, "/until")


class TestCancellations:
    """`at` is shown, changed, revoked and checked; a dry run stores nothing."""

    def test_the_end_of_the_cycle_is_shown_with_what_does_not_run(self, client: Client, sid: str) -> None:
        body = {"at": "endOfCycle", "reason": "moves away"}
        status, answer = client("POST", f"/execution-instance/{sid}/cancel", body)
        assert (status, answer["executionInstance"]["status"]) == (200, "ACTIVE")
        assert answer["executionInstance"]["cancelAt"] == {
            "date": MAIN,
            "endOfCycle": True,
            "by": "admin",
            "reason": "moves away",
        }
        assert answer["plan"]["runs"] == []
        assert answer["plan"]["canceledEvents"][0]["why"] == f"the instance is canceled at {MAIN}"
        forecast = client("GET", f"/execution-instance/{sid}/forecast")[1]
        assert (forecast["cycles"], forecast["cancelAt"]["date"]) == ([], MAIN)
        client.ports.clock.at += timedelta(days=5)
        client.run(sid)
        shown = client("GET", f"/execution-instance/{sid}")[1]
        assert (shown["status"], shown["stoppedBy"], shown["note"]) == ("CANCELED", "admin", "moves away")
        assert client.shop.keys == []

    def test_a_date_lists_what_runs_before_it(self, client: Client, sid: str) -> None:
        body = {"at": "2026-01-06", "dryRun": True}
        answer = client("POST", f"/execution-instance/{sid}/cancel", body)[1]
        assert (answer["dryRun"], [run["date"] for run in answer["plan"]["runs"]]) == (True, [MAIN])
        assert "cancelAt" not in client("GET", f"/execution-instance/{sid}")[1]

    def test_a_dry_run_of_a_cancel_stores_nothing(self, client: Client, sid: str) -> None:
        answer = client("POST", f"/execution-instance/{sid}/cancel", {"dryRun": True})[1]
        assert (answer["executionInstance"]["status"], answer["numCanceledEvents"]) == ("CANCELED", 1)
        assert client("GET", f"/execution-instance/{sid}")[1]["status"] == "ACTIVE"

    def test_only_delete_revokes(self, client: Client, sid: str) -> None:
        client("POST", f"/execution-instance/{sid}/cancel", {"at": "endOfCycle"})
        client("POST", f"/execution-instance/{sid}/pause")
        assert "cancelAt" in client("POST", f"/execution-instance/{sid}/resume")[1]
        assert "cancelAt" not in client("DELETE", f"/execution-instance/{sid}/cancel")[1]
        assert client("DELETE", f"/execution-instance/{sid}/cancel")[0] == 200
        client("POST", f"/execution-instance/{sid}/cancel")
        assert client("DELETE", f"/execution-instance/{sid}/cancel")[0] == 409

    @pytest.mark.parametrize("at", ["2020-01-01", "2036-02-01", "endOfMonth", 7])
    def test_a_date_that_cannot_be_is_refused(self, client: Client, sid: str, at: Any) -> None:
        status, answer = client("POST", f"/execution-instance/{sid}/cancel", {"at": at})
        assert (status, answer["problems"][0]["pointer"]) == (400, "/at")


class TestBulk:
    """Bulk operations take the dates, show them, and refuse those that cannot be."""

    @pytest.mark.parametrize(
        ("command", "shown"),
        [
            ({"name": "pause", "until": "2026-01-03"}, {"until": "2026-01-03T00:00:00.000Z"}),
            ({"name": "pause", "until": None}, {"removesUntil": True}),
            ({"name": "cancel", "at": "2026-01-03"}, {"at": "2026-01-03T00:00:00.000Z"}),
            ({"name": "cancel", "at": "endOfCycle"}, {"at": "endOfCycle"}),
        ],
    )
    def test_a_date_is_applied_and_shown(self, client: Client, sid: str, command: Any, shown: Any) -> None:
        body = {"selection": {"ids": [sid]}, "command": command}
        status, answer = client("POST", "/bulk-operation", body)
        assert (status, answer["counts"]["changed"]) == (200, 1)
        assert answer["command"] == {"name": command["name"], **shown}

    @pytest.mark.parametrize(
        ("command", "pointer"),
        [
            ({"name": "pause", "until": "2020-01-03"}, "/command/until"),
            ({"name": "cancel", "at": "2020-01-03"}, "/command/at"),
        ],
    )
    def test_a_date_that_has_passed_is_refused(
        self, client: Client, sid: str, command: Any, pointer: str
    ) -> None:
        body = {"selection": {"ids": [sid]}, "command": command}
        status, answer = client("POST", "/bulk-operation", body)
        assert (status, answer["problems"][0]["pointer"]) == (400, pointer)

    def test_a_resume_of_many_revokes_nothing(self, client: Client, sid: str) -> None:
        client("POST", f"/execution-instance/{sid}/cancel", {"at": "endOfCycle"})
        client("POST", f"/execution-instance/{sid}/pause")
        client("POST", "/bulk-operation", {"selection": {"ids": [sid]}, "command": {"name": "resume"}})
        shown = client("GET", f"/execution-instance/{sid}")[1]
        assert (shown["status"], "cancelAt" in shown) == ("ACTIVE", True)
