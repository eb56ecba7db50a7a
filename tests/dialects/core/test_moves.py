"""Moving and skipping dates in the core dialect, and in the views of all dialects.

Source: docs/contracts/core.md section 5; docs/decisions/0062.
"""

from datetime import timedelta
from typing import Any

import pytest

from tests.dialects.core.client import Client

START = "2026-02-10T10:00:00Z"


def planned(client: Client) -> str:
    """Return the sid of an instance whose first cycle is due on 10 February."""
    client.saved()
    return str(client.started(startDate=START)["executionInstance"]["sid"])


def moved(client: Client, sid: str, **body: Any) -> dict[str, Any]:
    status, answer = client("POST", f"/execution-instance/{sid}/reschedule", body)
    assert status == 200, answer
    return dict(answer)


def runs(answer: dict[str, Any]) -> list[tuple[int, str]]:
    return [(run["cycle"], run["date"][:10]) for run in answer["plan"]["runs"]]


class TestReschedule:
    """One date moves, or the rhythm from there on."""

    def test_the_next_date_moves(self, client: Client) -> None:
        sid = planned(client)
        answer = moved(client, sid, date="2026-02-20T10:00:00Z")
        assert runs(answer) == [(1, "2026-02-20"), (2, "2026-03-10")]
        run = answer["plan"]["runs"][0]
        assert (run["sid"], run["plannedDate"], run["movedBy"]) == (
            f"{sid}-1",
            "2026-02-10T10:00:00.000Z",
            "rescheduled by admin",
        )
        instance = client("GET", f"/execution-instance/{sid}")[1]
        assert (instance["nextEvent"]["date"], instance["plannedDate"]) == (
            "2026-02-20T10:00:00.000Z",
            "2026-02-10T10:00:00.000Z",
        )

    def test_the_planned_dates_move(self, client: Client) -> None:
        answer = moved(client, planned(client), date="2026-02-20T10:00:00Z", keepAnchor=False)
        assert runs(answer) == [(1, "2026-02-20"), (2, "2026-03-20")]

    def test_a_day_begins_in_the_zone_of_the_strategy(self, client: Client) -> None:
        answer = moved(client, planned(client), date="2026-02-20")
        assert answer["plan"]["runs"][0]["date"] == "2026-02-20T00:00:00.000Z"

    def test_a_dry_run_answers_the_same_and_changes_nothing(self, client: Client) -> None:
        sid = planned(client)
        before, woken = dict(client.ports.instances.instances), list(client.ports.wakeups.invoked)
        preview = moved(client, sid, date="2026-02-20T10:00:00Z", dryRun=True)
        assert client.ports.instances.instances == before
        assert (client.ports.instances.audit, client.ports.wakeups.invoked) == ([], woken)
        assert {**moved(client, sid, date="2026-02-20T10:00:00Z"), "dryRun": True} == preview

    def test_one_event_moves(self, client: Client) -> None:
        sid = planned(client)
        by_hand = {"task": "send-refill", "date": "2026-02-15T10:00:00Z"}
        added = client("POST", f"/execution-instance/{sid}/events", by_hand)[1]["sid"]
        answer = moved(client, sid, event=added, date="2026-02-17T10:00:00Z")
        assert runs(answer)[1] == (1, "2026-02-17")

    @pytest.mark.parametrize("event", ["nothing", "00000009-0000-4000-8000-000000000000-1"])
    def test_an_event_of_another_instance_is_refused(self, client: Client, event: str) -> None:
        body = {"event": event, "date": "2026-02-20T10:00:00Z"}
        status, answer = client("POST", f"/execution-instance/{planned(client)}/reschedule", body)
        assert (status, answer["problems"][0]["pointer"]) == (400, "/event")

    def test_a_date_in_the_past_is_refused(self, client: Client) -> None:
        body = {"date": "2020-01-01T00:00:00Z"}
        status, answer = client("POST", f"/execution-instance/{planned(client)}/reschedule", body)
        assert (status, answer["problems"][0]["pointer"]) == (400, "/date")

    def test_a_cycle_that_would_be_lost_is_refused(self, client: Client) -> None:
        body = {"date": "2026-03-10T10:00:00Z", "dryRun": True}
        status, answer = client("POST", f"/execution-instance/{planned(client)}/reschedule", body)
        assert (status, answer["message"][0][:28]) == (422, "cycle 2 is due on 2026-03-10")

    def test_history_and_audit_show_it(self, client: Client) -> None:
        sid = planned(client)
        moved(client, sid, date="2026-02-20T10:00:00Z")
        (event,) = client("GET", f"/execution-instance/{sid}/events")[1]["items"]
        assert (event["date"], event["movedBy"]) == ("2026-02-20T10:00:00.000Z", "rescheduled by admin")
        entry = client("GET", f"/audit?target={sid}")[1]["items"][0]
        assert (entry["command"], entry["options"]) == (
            "reschedule",
            ["date=2026-02-20T10:00:00.000Z", "before=2026-02-10T10:00:00.000Z", "keepAnchor=true"],
        )

    def test_explain_says_that_the_old_date_was_moved(self, client: Client) -> None:
        sid = planned(client)
        moved(client, sid, date="2026-02-20T10:00:00Z")
        client.ports.clock.at += timedelta(days=45)
        answer = client("GET", f"/execution-instance/{sid}/explain?at=2026-02-10T10:00:00Z")[1]
        assert (answer["reason"], answer["until"]) == ("MOVED", "2026-02-20T10:00:00.000Z")


class TestSkip:
    """The next cycles do not run."""

    def test_a_month_is_skipped(self, client: Client) -> None:
        sid = planned(client)
        status, answer = client("POST", f"/execution-instance/{sid}/skip")
        assert (status, runs(answer)) == (200, [(2, "2026-03-10"), (3, "2026-04-10")])
        (skipped,) = answer["plan"]["skipped"]
        assert (skipped["first"], skipped["last"], skipped["why"]) == (1, 1, "skipped by an operator")
        entry = client("GET", f"/audit?target={sid}")[1]["items"][0]
        assert (entry["command"], entry["options"]) == ("skip", ["cycles=1"])

    def test_a_dry_run_answers_the_same_and_changes_nothing(self, client: Client) -> None:
        sid = planned(client)
        before = dict(client.ports.instances.instances)
        preview = client("POST", f"/execution-instance/{sid}/skip", {"cycles": 2, "dryRun": True})[1]
        assert client.ports.instances.instances == before
        answer = client("POST", f"/execution-instance/{sid}/skip", {"cycles": 2})[1]
        assert {**answer, "dryRun": True} == preview

    def test_a_repeat_with_its_key_skips_nothing_more(self, client: Client) -> None:
        sid = planned(client)
        for _ in range(2):
            body, key = {"cycles": 1}, {"idempotency-key": "k-1"}
            status, answer = client("POST", f"/execution-instance/{sid}/skip", body, more=key)
            assert (status, runs(answer)[0]) == (200, (2, "2026-03-10"))
        key = {"idempotency-key": "k-1"}
        assert client("POST", f"/execution-instance/{sid}/skip", {"cycles": 2}, more=key)[0] == 422

    def test_cycles_after_one_that_has_begun_wait(self, client: Client) -> None:
        client.saved()
        sid = client.started()["executionInstance"]["sid"]
        client("POST", f"/execution-event/{sid}-1/execute")
        answer = client("POST", f"/execution-instance/{sid}/skip", {"cycles": 2})[1]
        assert answer["executionInstance"]["cyclesToSkip"] == 2
        assert [(skipped["first"], skipped["last"]) for skipped in answer["plan"]["skipped"]] == [(2, 3)]

    def test_explain_says_who_skipped_it(self, client: Client) -> None:
        sid = planned(client)
        client("POST", f"/execution-instance/{sid}/skip", more={"audit-comment": "on holiday"})
        client.ports.clock.at += timedelta(days=60)
        answer = client("GET", f"/execution-instance/{sid}/explain?at=2026-02-10T10:00:00Z")[1]
        assert (answer["reason"], answer["by"], answer["why"]) == (
            "SKIPPED",
            "admin",
            "skipped by an operator: on holiday",
        )

    @pytest.mark.parametrize("cycles", [0, 101, "1"])
    def test_a_wrong_number_is_refused(self, client: Client, cycles: object) -> None:
        status, answer = client("POST", f"/execution-instance/{planned(client)}/skip", {"cycles": cycles})
        assert (status, answer["problems"][0]["pointer"]) == (400, "/cycles")


class TestBulk:
    """One command to many instances, applied once to each."""

    @pytest.mark.parametrize(
        ("command", "shown", "date"),
        [
            (
                {"name": "reschedule", "date": "2026-02-20T10:00:00Z"},
                {"name": "reschedule", "date": "2026-02-20T10:00:00.000Z", "keepAnchor": True},
                "2026-02-20",
            ),
            ({"name": "skip", "cycles": 2}, {"name": "skip", "cycles": 2}, "2026-04-10"),
        ],
    )
    def test_it_reaches_each(
        self, client: Client, command: dict[str, Any], shown: dict[str, Any], date: str
    ) -> None:
        sid = planned(client)
        body = {"selection": {"ids": [sid]}, "command": command}
        preview = client("POST", "/bulk-operation", {**body, "dryRun": True})[1]
        assert preview["sample"][0]["outcome"] == "changed"
        status, answer = client("POST", "/bulk-operation", body)
        assert (status, answer["command"], answer["counts"]["changed"]) == (200, shown, 1)
        assert client("GET", f"/execution-instance/{sid}")[1]["nextEvent"]["date"][:10] == date
