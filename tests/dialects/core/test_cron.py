"""Plans by cron in the core dialect. Source: docs/contracts/core.md section 4.1; docs/design.md section 4."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.dialects.core.client import WATER, Client


def by_cron(text: str, **config: Any) -> dict[str, Any]:
    """Return the water filters, shipped when an expression fires."""
    strategy: dict[str, Any] = json.loads(json.dumps(WATER))
    (calendar,) = strategy["settings"]["schedule"]["calendars"]
    del calendar["scheduleAfter"]
    calendar["cron"] = text
    strategy["settings"]["config"] = {"timezone": "America/New_York", **config}
    return strategy


class TestPlanning:
    """Cycle 1 is the first fire at or after the start date. Simulation, forecast and plan agree."""

    def test_an_instance_starts_at_its_first_fire(self, client: Client) -> None:
        client.saved(by_cron("30 2 * * SUN"))

        started = client.started(startDate="2026-03-02T00:00:00Z")

        assert started["createdEvents"]["mainEvent"]["date"] == "2026-03-08T07:00:00.000Z"

    def test_simulation_and_forecast_have_the_same_dates(self, client: Client) -> None:
        sid = client.saved(by_cron("0 0 9 LW * ?"))["sid"]
        attributes = {"customerId": "c-1"}
        body = {"cycles": 3, "startDate": "2026-02-01T00:00:00Z", "attributes": attributes}
        instance = client.started(startDate="2026-02-01T00:00:00Z")["executionInstance"]["sid"]

        _, simulated = client("POST", f"/execution-strategy/{sid}/simulate-execution", body)
        _, foreseen = client("GET", f"/execution-instance/{instance}/forecast?cycles=3")

        expected = ["2026-02-27T14:00:00.000Z", "2026-03-31T13:00:00.000Z", "2026-04-30T13:00:00.000Z"]
        assert [one["events"]["mainEvent"]["date"] for one in simulated["cycleEvents"]] == expected
        assert [one["mainEvent"]["date"] for one in foreseen["cycles"]] == expected

    def test_simulation_reports_that_an_expression_stops_firing(self, client: Client) -> None:
        sid = client.saved(by_cron("0 0 9 1 7 ? 2026"))["sid"]
        body = {"cycles": 3, "attributes": {"customerId": "c-1"}}

        _, answer = client("POST", f"/execution-strategy/{sid}/simulate-execution", body)

        assert (answer["simulatedCycles"], answer["ended"]) == (1, "the cron expression has no further date")


class TestSaving:
    """If an expression is invalid or never fires, it is refused with the position."""

    def test_an_invalid_expression_is_refused(self, client: Client) -> None:
        status, answer = client("POST", "/execution-strategy", by_cron("0 6 6 ? * FRY"))

        assert status == 400
        assert answer["problems"] == [
            {
                "pointer": "/settings/schedule/calendars/0/cron",
                "rule": "cron",
                "message": "the day of the week must be 1 to 7 or SUN to SAT, not 'FRY'",
                "caret": "0 6 6 ? * FRY\n          ^",
            }
        ]
        assert client.ports.strategies.heads == {}

    @pytest.mark.parametrize("text", ["0 0 31 2 *", "0 0 9 1 1 ? 2025"])
    def test_an_expression_without_future_dates_is_refused(self, client: Client, text: str) -> None:
        wrong = by_cron(text)
        sid = client.saved()["sid"]

        created = client("POST", "/execution-strategy", {**wrong, "name": "other"})
        replaced = client("PATCH", f"/execution-strategy/{sid}", {"settings": wrong["settings"]})
        _, validated = client("POST", "/execution-strategy/validate", {"settings": wrong["settings"]})

        assert (created[0], replaced[0], validated["valid"]) == (400, 400, False)
        for problems in (created[1]["problems"], replaced[1]["problems"], validated["problems"]):
            assert [problem["rule"] for problem in problems] == ["never-fires"]


class TestResuming:
    """Missed dates follow the usual rules, except that a plan by cron cannot be shifted."""

    def test_shift_is_unprocessable(self, client: Client) -> None:
        client.saved(by_cron("0 9 * * MON"))
        sid = client.started()["executionInstance"]["sid"]
        client("POST", f"/execution-instance/{sid}/pause")
        client.ports.clock.at += timedelta(days=30)

        status, answer = client("POST", f"/execution-instance/{sid}/resume", {"onResume": "shift"})

        assert (status, answer["message"]) == (422, ["a plan dated by cron cannot be shifted"])
        assert client("GET", f"/execution-instance/{sid}")[1]["status"] == "PAUSED"

    def test_the_other_answers_to_missed_dates_work(self, client: Client) -> None:
        client.saved(by_cron("0 9 * * MON"))  # Mondays 5, 12, 19 and 26 January pass
        sid = client.started()["executionInstance"]["sid"]
        client("POST", f"/execution-instance/{sid}/pause")
        client.ports.clock.at += timedelta(days=30)

        status, answer = client("POST", f"/execution-instance/{sid}/resume", {"onResume": "last"})

        assert (status, answer["skippedCycles"]) == (200, {"first": 1, "last": 3})
        assert answer["nextEvent"]["date"] == "2026-01-26T14:00:00.000Z"


class TestLastFire:
    """A plan ends when its expression has fired for the last time."""

    def test_an_instance_completes_after_the_last_fire(self, client: Client) -> None:
        client.saved(by_cron("0 0 9 5 1 ? 2026"))
        sid = client.started()["executionInstance"]["sid"]
        client.ports.clock.at += timedelta(days=5)

        client.run(sid)

        _, answer = client("GET", f"/execution-instance/{sid}")
        assert (answer["status"], client.shop.keys) == ("COMPLETED", [f"{sid}-1-1-1"])
