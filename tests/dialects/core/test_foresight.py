"""Simulation, forecast, paused strategies, decisions. Source: docs/contracts/core.md, S4 and section 5."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.api.core.moment_format import date_format
from shared.domain.calendar.dates import zone_named
from shared.domain.errors import InvalidInputError
from shared.domain.ids import OperationSid
from tests.bulk_runs import run_bulk
from tests.dialects.core.client import GYM, MEMBER, WATER, Client

OF_GYM: dict[str, Any] = {"secret": GYM["secret"]}
MANILA = zone_named("Asia/Manila")


class TestSimulating:
    """S4: the dates of a fictitious instance; nothing is stored."""

    def test_the_gym_simulates_the_dates_of_its_readme(self, client: Client) -> None:
        sid = client.saved(GYM)["sid"]
        body = {"cycles": 3, "startDate": "2026-02-24T18:45:10Z", "attributes": MEMBER}

        status, answer = client("POST", f"/execution-strategy/{sid}/simulate-execution", body, **OF_GYM)

        assert status == 200
        assert (answer["timezone"], answer["simulatedCycles"]) == ("Europe/Madrid", 3)
        first = answer["cycleEvents"][0]["events"]
        assert [(e["task"], e["date"]) for e in first["onCreateEvents"]] == [
            ("send-welcome", "2026-02-24T18:50:10.000Z")
        ]
        assert [(e["task"], e["date"]) for e in first["leadingUpEvents"]] == [
            ("send-reminder", "2026-02-28T08:00:00.000Z")
        ]
        mains = [one["events"]["mainEvent"]["date"] for one in answer["cycleEvents"]]
        assert mains == ["2026-03-03T08:00:00.000Z", "2026-04-03T07:00:00.000Z", "2026-05-03T07:00:00.000Z"]
        assert "onCreateEvents" not in answer["cycleEvents"][1]["events"]
        assert client.ports.instances.instances == {}

    def test_create_if_is_shown_but_not_evaluated(self, client: Client) -> None:
        strategy = json.loads(json.dumps(GYM))
        strategy["settings"]["onCreateTasks"][0]["createIf"] = "attributes.monthlyFee > 1000.0"
        sid = client.saved(strategy)["sid"]

        _, answer = client(
            "POST",
            f"/execution-strategy/{sid}/simulate-execution",
            {"cycles": 1, "attributes": MEMBER},
            **OF_GYM,
        )

        (event,) = answer["cycleEvents"][0]["events"]["onCreateEvents"]
        assert event["callback"] == "attributes.monthlyFee > 1000.0"

    def test_a_simulation_that_stops_says_why(self, client: Client) -> None:
        strategy = json.loads(json.dumps(WATER))
        strategy["settings"]["schedule"]["calendars"][0]["runOnCycle"] = 1
        sid = client.saved(strategy)["sid"]

        _, answer = client(
            "POST",
            f"/execution-strategy/{sid}/simulate-execution",
            {"cycles": 3, "attributes": {"customerId": "c"}},
        )

        assert (answer["simulatedCycles"], answer["ended"]) == (1, "no calendar for cycle 2")

    def test_dates_have_the_requested_format_in_the_strategys_zone(self, client: Client) -> None:
        sid = client.saved(GYM)["sid"]
        body = {
            "cycles": 1,
            "startDate": "2026-02-24T18:45:10Z",
            "attributes": MEMBER,
            "dateFormat": "LLLL",
        }

        _, answer = client("POST", f"/execution-strategy/{sid}/simulate-execution", body, **OF_GYM)

        assert answer["startDate"] == "Tuesday, February 24, 2026 7:45 PM"
        main = answer["cycleEvents"][0]["events"]["mainEvent"]["date"]
        assert main == "Tuesday, March 3, 2026 9:00 AM"

    @pytest.mark.parametrize(
        ("change", "pointer", "rule"),
        [
            ({"cycles": 0}, "/cycles", "range"),
            ({"cycles": 121}, "/cycles", "range"),
            ({"cycles": "3"}, "/cycles", "type"),
            ({"dateFormat": "YYYY-WW"}, "/dateFormat", "format"),
            ({"startDate": "soon"}, "/startDate", "date"),
            ({"attributes": {}}, "/attributes", "jtd"),
            ({"extra": 1}, "/extra", "unknown-field"),
        ],
    )
    def test_invalid_bodies_are_refused(
        self, client: Client, change: dict[str, Any], pointer: str, rule: str
    ) -> None:
        sid = client.saved(GYM)["sid"]
        body = {"cycles": 1, "attributes": MEMBER, **change}

        status, answer = client("POST", f"/execution-strategy/{sid}/simulate-execution", body, **OF_GYM)

        assert status == 400
        assert (pointer, rule) in [(p["pointer"], p["rule"]) for p in answer["problems"]]


class TestDateFormats:
    """Row 24: if a format is given, dates have moment's usual tokens, in the strategy's zone."""

    NOON = datetime(2026, 3, 4, 4, 5, 6, tzinfo=UTC)  # five past noon in Manila
    MIDNIGHT = datetime(2026, 3, 3, 16, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("YYYY-MM-DD HH:mm:ss", "2026-03-04 12:05:06"),
            ("dddd D MMMM", "Wednesday 4 March"),
            ("h:mm A", "12:05 PM"),
            ("[at] HH [o'clock]", "at 12 o'clock"),
            ("LLLL", "Wednesday, March 4, 2026 12:05 PM"),
            ("[", "["),
        ],
    )
    def test_a_token_is_written_as_moment_does(self, text: str, shown: str) -> None:
        assert date_format(text, MANILA)(self.NOON) == shown

    def test_midnight_is_twelve_in_the_morning(self) -> None:
        assert date_format("h A, HH", MANILA)(self.MIDNIGHT) == "12 AM, 00"

    @pytest.mark.parametrize("text", ["YY", "MMM", "Do", "x", "YYYYY", "DDDD"])
    def test_an_unknown_token_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidInputError, match="unknown token"):
            date_format(text, MANILA)


class TestForecasting:
    """A forecast has the dates that the engine will plan."""

    def test_a_forecast_has_the_coming_cycles(self, client: Client) -> None:
        client.saved(GYM)
        sid = client.joined(startDate="2026-02-24T18:45:10Z")["executionInstance"]["sid"]

        status, answer = client("GET", f"/execution-instance/{sid}/forecast?cycles=2", **OF_GYM)

        assert status == 200
        assert [(one["cycle"], one["mainEvent"]["date"]) for one in answer["cycles"]] == [
            (1, "2026-03-03T08:00:00.000Z"),
            (2, "2026-04-03T07:00:00.000Z"),
        ]
        assert answer["cycles"][1]["leadingUpEvents"][0]["date"] == "2026-03-31T07:00:00.000Z"

    def test_an_event_that_no_longer_waits_for_its_date_is_shown_with_its_status(
        self, client: Client
    ) -> None:
        sid = client.one()
        client("POST", f"/execution-event/{sid}-1/execute")

        _, answer = client("GET", f"/execution-instance/{sid}/forecast?cycles=2")

        assert [one["mainEvent"]["status"] for one in answer["cycles"]] == ["QUEUED", "PENDING"]

    def test_a_canceled_instance_has_no_forecast(self, client: Client) -> None:
        sid = client.one()
        client("POST", f"/execution-instance/{sid}/cancel")

        assert client("GET", f"/execution-instance/{sid}/forecast") == (200, {"cycles": []})

    @pytest.mark.parametrize("cycles", ["0", "121", "x"])
    def test_a_forecast_has_1_to_120_cycles(self, client: Client, cycles: str) -> None:
        sid = client.one()

        assert client("GET", f"/execution-instance/{sid}/forecast?cycles={cycles}")[0] == 400


class TestPausingAStrategy:
    """One flag blocks everything under a strategy; events run when the strategy is resumed."""

    def test_due_events_run_when_the_strategy_is_resumed(self, client: Client) -> None:
        strategy = client.saved()["sid"]
        sid = client.started()["executionInstance"]["sid"]

        status, paused = client(
            "POST", f"/execution-strategy/{strategy}/pause", more={"audit-comment": "recall"}
        )
        client.run(sid)
        held = client("GET", f"/execution-instance/{sid}")[1]["heldBy"]
        _, resumed = client("POST", f"/execution-strategy/{strategy}/resume")
        for number in range(16):
            release_job = OperationSid(f"release-strategy-{strategy}-{number}")
            run_bulk(client.ports, release_job, time_left=lambda: timedelta(minutes=15))
        client.run(sid)

        assert (status, paused["status"], held, resumed["status"]) == (200, "paused", "strategy", "active")
        assert client("GET", f"/execution-event/{sid}-1")[1]["event"]["status"] == "PROCESSED"
        assert [(e.command, e.reason) for e in client.ports.strategies.audit] == [
            ("pause-strategy", "recall"),
            ("resume-strategy", None),
        ]

    def test_pausing_or_resuming_a_strategy_twice_changes_nothing(self, client: Client) -> None:
        strategy = client.saved()["sid"]
        client("POST", f"/execution-strategy/{strategy}/resume")
        assert client.ports.operations.release_jobs == {}
        first = client("POST", f"/execution-strategy/{strategy}/pause")

        assert client("POST", f"/execution-strategy/{strategy}/pause") == first
        assert len(client.ports.strategies.audit) == 1

    def test_a_new_version_leaves_the_strategy_paused(self, client: Client) -> None:
        strategy = client.saved()["sid"]
        client("POST", f"/execution-strategy/{strategy}/pause")

        _, after = client("PATCH", f"/execution-strategy/{strategy}", {"settings": WATER["settings"]})

        assert (after["version"], after["status"]) == (2, "paused")


class TestResolving:
    """If a call is in doubt, an operator decides about it."""

    @pytest.mark.parametrize(
        ("decision", "ends", "sent"),
        [("retry", "PROCESSED", 2), ("skip", "PROCESSED", 1), ("fail", "FAILED", 1)],
    )
    def test_a_decision_continues_the_event(
        self, client: Client, decision: str, ends: str, sent: int
    ) -> None:
        strategy = json.loads(json.dumps(WATER))
        strategy["settings"]["services"][0]["methods"][0]["inDoubt"] = "pause"
        client.saved(strategy)
        sid = client.started()["executionInstance"]["sid"]
        client.shop.is_silent = True
        client.run(sid)
        waiting = client("GET", f"/execution-event/{sid}-1")[1]["event"]
        client.shop.is_silent = False

        status, answer = client("POST", f"/execution-event/{sid}-1/resolve", {"decision": decision})
        client.run(sid)

        assert (waiting["status"], waiting["pausedFor"]) == ("PAUSED", "IN_DOUBT")
        assert (status, answer["status"]) == (200, "QUEUED")
        event = client("GET", f"/execution-event/{sid}-1")[1]["event"]
        assert (event["status"], event["inDoubt"]) == (ends, True)
        assert len(client.shop.keys) == sent
        assert len(set(client.shop.keys)) == 1
        (entry,) = [e for e in client.ports.instances.audit if e.command.startswith("resolve")]
        assert (entry.command, entry.event) == (f"resolve {decision}", f"{sid}-1")

    def test_deciding_about_an_event_without_doubt_is_refused(self, client: Client) -> None:
        sid = client.one()

        status, answer = client("POST", f"/execution-event/{sid}-1/resolve", {"decision": "retry"})
        client.run(sid)
        finished = client("POST", f"/execution-event/{sid}-1/resolve", {"decision": "retry"})

        assert (status, answer["message"]) == (409, ["the event is not paused for a call in doubt"])
        assert (finished[0], finished[1]["message"]) == (409, ["the event is PROCESSED"])

    @pytest.mark.parametrize("body", [{}, {"decision": "maybe"}, {"decision": "skip", "x": 1}])
    def test_an_unknown_decision_is_refused(self, client: Client, body: dict[str, Any]) -> None:
        sid = client.one()

        assert client("POST", f"/execution-event/{sid}-1/resolve", body)[0] == 400
