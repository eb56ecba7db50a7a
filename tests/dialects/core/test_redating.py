"""PATCH and the dates that follow attributes. Source: docs/decisions/0060; docs/api/core.md."""

import json
from typing import Any

import pytest

from tests.dialects.core.client import WATER, Client

NINE = "2026-03-01T01:00:00.000Z"
"""Nine in the morning in Manila."""


def settings(**config: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(WATER["settings"]))
    found["config"] = config
    return found


@pytest.fixture
def zoned(client: Client) -> Client:
    """Return a client with a strategy whose zone is an attribute, and that has a reminder."""
    of = settings(timezone="{{attributes.zone}}")
    task = of["schedule"]["calendars"][0]["task"]
    entry = {"task": task, "scheduleBefore": {"unit": "days", "amount": 3}}
    of["schedule"]["calendars"][0]["leadingUpTasks"] = [entry]
    client.saved({**WATER, "settings": of})
    return client


def begun(client: Client) -> str:
    attributes = {"customerId": "c-1", "zone": "Asia/Manila"}
    return str(client.started(startDate=NINE, attributes=attributes)["executionInstance"]["sid"])


def patched(client: Client, sid: str, **body: Any) -> dict[str, Any]:
    status, answer = client("PATCH", f"/execution-instance/{sid}", body)
    assert status == 200, answer
    return dict(answer)


class TestRedating:
    """The answer of a change lists the dates that it moves, and a dry run says the same before."""

    def test_a_change_lists_what_it_moves(self, zoned: Client) -> None:
        sid = begun(zoned)

        answer = patched(zoned, sid, attributes={"zone": "Europe/Berlin"})

        assert answer["redated"] == [
            {
                "sid": f"{sid}-2",
                "cycle": 1,
                "task": "send-refill",
                "main": True,
                "before": NINE,
                "date": "2026-03-01T08:00:00.000Z",
            },
            {
                "sid": f"{sid}-1",
                "cycle": 1,
                "task": "send-refill",
                "main": False,
                "before": "2026-02-26T01:00:00.000Z",
                "date": "2026-02-26T08:00:00.000Z",
            },
        ]
        assert (answer["notRedated"], answer["canceledEvents"], answer["dryRun"]) == ([], [], False)
        assert answer["executionDate"] == "2026-03-01T08:00:00.000Z"
        assert zoned.ports.wakeups.invoked[-1] == sid

    def test_the_audit_has_the_dates_before(self, zoned: Client) -> None:
        sid = begun(zoned)

        patched(zoned, sid, attributes={"zone": "Europe/Berlin"})

        entry = zoned("GET", f"/audit?target={sid}-2")[1]["items"][0]
        assert (entry["command"], entry["event"], entry["options"]) == (
            "update",
            f"{sid}-2",
            [
                "redated=2",
                "date=2026-03-01T08:00:00.000Z",
                "before-1=2026-02-26T01:00:00.000Z",
                f"before={NINE}",
            ],
        )

    def test_the_audit_of_a_change_that_moves_nothing_has_no_dates(self, zoned: Client) -> None:
        sid = begun(zoned)

        patched(zoned, sid, attributes={"customerId": "c-2"})

        assert "options" not in zoned("GET", f"/audit?target={sid}")[1]["items"][0]

    def test_a_dry_run_stores_nothing_and_says_the_same(self, zoned: Client) -> None:
        sid = begun(zoned)
        before = zoned.ports.instances.load(sid)  # type: ignore[arg-type]
        body = {"attributes": {"zone": "America/New_York"}, "endDate": "2026-03-01T10:00:00Z"}

        foreseen = patched(zoned, sid, **body, dryRun=True)

        assert zoned.ports.instances.load(sid) is before  # type: ignore[arg-type]
        assert zoned.ports.instances.audit == []
        assert patched(zoned, sid, **body) == {**foreseen, "dryRun": False}

    def test_a_cycle_that_is_moved_past_the_end_is_shown_as_canceled(self, zoned: Client) -> None:
        sid = begun(zoned)
        answer = patched(zoned, sid, attributes={"zone": "America/New_York"}, endDate="2026-03-01T10:00:00Z")

        assert answer["redated"] == []
        assert [(one["sid"], one["why"]) for one in answer["canceledEvents"]] == [
            (f"{sid}-1", "after the end date"),
            (f"{sid}-2", "after the end date"),
        ]

    def test_a_change_of_other_attributes_moves_nothing(self, zoned: Client) -> None:
        answer = patched(zoned, begun(zoned), attributes={"tier": "gold"})
        assert (answer["redated"], answer["notRedated"]) == ([], [])

    def test_a_change_without_a_difference_moves_nothing(self, zoned: Client) -> None:
        sid = begun(zoned)
        for dry_run in (True, False):
            answer = patched(zoned, sid, attributes={"zone": "Asia/Manila"}, dryRun=dry_run)
            assert (answer["redated"], answer["notRedated"], answer["canceledEvents"]) == ([], [], [])

    @pytest.mark.parametrize("dry_run", [True, False])
    def test_an_unknown_zone_is_refused(self, zoned: Client, dry_run: bool) -> None:  # noqa: FBT001 - a parameter
        sid = begun(zoned)
        body = {"attributes": {"zone": "Europe/Berlinn"}, "dryRun": dry_run}

        status, answer = zoned("PATCH", f"/execution-instance/{sid}", body)

        assert (status, [one["pointer"] for one in answer["problems"]]) == (400, ["/attributes/zone"])

    @pytest.mark.parametrize("dry_run", [True, False])
    def test_an_instance_that_has_ended_is_refused(self, zoned: Client, dry_run: bool) -> None:  # noqa: FBT001 - a parameter
        sid = begun(zoned)
        zoned("POST", f"/execution-instance/{sid}/cancel")

        status, _ = zoned("PATCH", f"/execution-instance/{sid}", {"description": "x", "dryRun": dry_run})

        assert status == 409

    def test_an_attribute_that_moves_nothing_is_named(self, client: Client) -> None:
        of = settings()
        of["schedule"]["initialDelay"] = {"unit": "days", "amount": 0, "from": "trialEnd"}
        client.saved({**WATER, "settings": of})
        attributes = {"customerId": "c-1", "trialEnd": "2026-03-01"}
        sid = str(client.started(attributes=attributes)["executionInstance"]["sid"])
        client("POST", f"/execution-event/{sid}-1/execute")

        queued = patched(client, sid, attributes={"trialEnd": "2026-03-05"})

        assert queued["notRedated"] == [
            {
                "attribute": "trialEnd",
                "sid": f"{sid}-1",
                "task": "send-refill",
                "date": "2026-03-01T00:00:00.000Z",
                "why": "it was queued to run now",
            }
        ]


class TestManyInstances:
    """A bulk update, and its dry run, count the planned events that they move in each instance."""

    def test_results_and_samples_count_them(self, zoned: Client) -> None:
        sid = begun(zoned)
        attributes = {"customerId": "c-2", "zone": "Europe/Berlin"}
        start = zoned.started(startDate=NINE, attributes=attributes)
        other = start["executionInstance"]["sid"]
        command = {"name": "update", "attributes": {"zone": "Europe/Berlin"}}
        body = {"selection": {"ids": [sid, other]}, "command": command}
        expected = [
            {"sid": sid, "outcome": "changed", "redated": 2},
            {"sid": other, "outcome": "already-there"},
        ]

        assert zoned("POST", "/bulk-operation", {**body, "dryRun": True})[1]["sample"] == expected
        status, answer = zoned("POST", "/bulk-operation", body)

        assert (status, answer["results"]) == (200, expected)
        assert zoned("GET", f"/bulk-operation/{answer['sid']}")[1]["results"] == expected
        entries = zoned("GET", f"/audit?target={answer['sid']}")[1]["items"]
        assert [one["options"][0] for one in entries if one["target"] == sid] == ["redated=2"]
