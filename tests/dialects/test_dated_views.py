"""The commands that date, move and skip, as every dialect and every view of core shows their effects.

A membership is charged on the 10th of a month at ten, with a reminder two days before and a farewell a day after its
cancellation; it is noon on 1 January. Each story sends its commands to core and then reads everything.
Source: docs/contracts/mapping.md D.3; docs/decisions/0060 to 0063.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from dev.examples import Ids
from tests.dialects.core.client import WATER, Client
from tests.dialects.everybody import Everybody
from tests.dialects.orders.client import Joc

SECRET = WATER["secret"]
DAY = {"unit": "days", "amount": 1}
TEN = "10:00"
REMINDER = 1
"""The number of the first reminder."""


def membership() -> dict[str, Any]:
    """Return a strategy with three tasks of one call each, in a zone that an attribute names."""
    settings = json.loads(json.dumps(WATER["settings"]))
    calendar, ship = settings["schedule"]["calendars"][0], settings["tasks"][0]
    settings["config"] = {"timezone": "{{attributes.zone}}"}
    calendar |= {
        "task": "charge",
        "leadingUpTasks": [{"task": "remind", "scheduleBefore": {"unit": "days", "amount": 2}}],
    }
    retries = {"times": 3, "retryAfter": {"unit": "hours", "amount": 4}, "jitterPercent": 0}
    settings["tasks"] = [{**ship, "key": name} for name in ("charge", "remind", "farewell")]
    settings["tasks"][0]["retryConfig"] = retries
    settings["onCancelTasks"] = [{"task": "farewell", "delayBy": DAY}]
    return {"name": "membership", "secret": SECRET, "settings": settings}


class Member:
    """One membership, its commands, and each view of it."""

    def __init__(self, client: Client) -> None:
        client.ports.ids = Ids()
        client.saved(membership())
        self.client, self.everybody = client, Everybody(client.ports)
        made = self.core(
            "POST",
            "/execution-instance",
            {
                "strategyId": "membership",
                "attributes": {"customerId": "c-1", "zone": "UTC"},
                "startDate": "2026-01-10T10:00:00Z",
            },
        )
        self.sid = str(made["executionInstance"]["sid"])
        self.path = f"/execution-instance/{self.sid}"
        self.definition = str(made["createdEvents"]["mainEvent"]["strategySid"])

    def core(self, method: str, path: str, body: Any = None) -> Any:
        return self.everybody.core(method, path, body, secret=SECRET)

    def command(self, name: str, **body: Any) -> "Member":
        self.core("POST", f"{self.path}/{name}", body or None)
        return self

    def revoke(self) -> "Member":
        self.core("DELETE", f"{self.path}/cancel")
        return self

    def patch(self, **attributes: Any) -> "Member":
        self.core("PATCH", self.path, {"attributes": attributes})
        return self

    def move(self, date: str, event: int | None = None, **body: Any) -> "Member":
        """Reschedule the next date, or the event with that number."""
        named = {} if event is None else {"event": f"{self.sid}-{event}"}
        return self.command("reschedule", date=date, **named, **body)

    def run_at(self, *dates: str) -> "Member":
        """Run the instance at each of these dates of 2026."""
        for date in dates:
            self.client.ports.clock.at = datetime.fromisoformat(f"2026-{date}:00+00:00")
            self.everybody.run(self.sid)
        return self

    def pay(self) -> "Member":
        """Remind and charge in the first cycle."""
        return self.run_at(f"01-08 {TEN}", f"01-10 {TEN}")

    def fail_to_pay(self) -> "Member":
        """Remind in the first cycle, and fail the first attempt of its charge."""
        self.run_at(f"01-08 {TEN}")
        self.client.shop.is_silent = True
        return self.run_at(f"01-10 {TEN}")

    # The views, each in the few words that the table below compares.

    def instance(self) -> dict[str, Any]:
        """Return the members about status and dates."""
        shown = self.core("GET", self.path)
        names = ("status", "phase", "plannedDate", "pausedUntil", "cyclesToSkip", "stoppedBy")
        found = {name: _day(shown[name]) for name in names if name in shown}
        dates = {name: _day(shown[name]["date"]) for name in ("nextEvent", "cancelAt") if name in shown}
        return found | dates

    def forecast(self) -> list[str]:
        """Return the next two cycles, the cycles left out before them, and the date of a cancellation."""
        shown = self.core("GET", f"{self.path}/forecast?cycles=2")
        left_out = [f"not {one['first']} to {one['last']}: {one['why']}" for one in shown.get("skipped", [])]
        end = [f"canceled {_day(shown['cancelAt']['date'])}"] if "cancelAt" in shown else []
        return [
            *(f"{one['cycle']}: {_day(one['mainEvent']['date'])}" for one in shown["cycles"]),
            *left_out,
            *end,
        ]

    def explain(self, day: str) -> str:
        """Return the reason of the answer about ten on a day, with who and when."""
        shown = self.core("GET", f"{self.path}/explain?at=2026-{day}T10:00:00Z")
        until = f" until {_day(shown['until'])}" if "until" in shown else ""
        by = f" by {shown['by']}" if "by" in shown else ""
        return f"{shown['reason']}{until}{by}"

    def history(self) -> list[str]:
        """Return every event, latest first, with the reason if it was moved or closed."""
        found = []
        for one in self.core("GET", f"{self.path}/events")["items"]:
            moved = f", {one['movedBy']} from {_day(one['plannedDate'])}" if "movedBy" in one else ""
            closed = f", {one['why']}" if "why" in one else ""
            found.append(f"{one['task']} {_day(one['date'])} {one['status']}{moved}{closed}")
        return found

    def audit(self) -> list[str]:
        """Return command and options of every entry but the creation, latest first."""
        entries = self.core("GET", f"/audit?target={self.sid}")["items"][:-1]
        shown = [" ".join([f"{one['by']}: {one['command']}", *one.get("options", [])]) for one in entries]
        return [re.sub(r"2026-(\d\d-\d\d)T(\d\d:\d\d):00\.000Z", r"\1 \2", text) for text in shown]

    def joc(self) -> tuple[str, str, bool, bool, bool]:
        """Return state and date of the order, and whether it can be continued, resumed and suspended.

        The list of live orders must say the same, and the filter of its state must find it.
        """
        order = self.everybody.orders("/order", orderId=self.sid)
        state = order["state"]["_text"]
        listed = self.everybody.orders("/orders", states=[state])["orders"]
        live = self.everybody.orders("/orders")["orders"]
        assert [one["state"]["_text"] for one in listed] == [state]
        assert bool(live) is (state != "CANCELLED")
        reason = order["state"].get("_reason")
        date = datetime.fromtimestamp(order["scheduledFor"] / 1000, tz=UTC)
        may = (order["isContinuable"], order["isResumable"], order["isSuspendible"])
        return (state if reason is None else f"{state} ({reason})", f"{date:%m-%d %H:%M}", *may)

    def past_orders(self) -> list[str]:
        history = self.everybody.orders("/orders/history")["history"]
        return [f"{one['state']['_text']} {_day(one['plannedTime'])}" for one in history]

    def workflow(self) -> tuple[str, bool, list[str], int]:
        """Return status, whether it has ended, the statuses of its log, and the number of its errors."""
        path = f"/definitions/{self.definition}/workflows"
        shown = self.everybody.automation("GET", f"{path}/{self.sid}?includeLogs=true").decoded
        found = self.everybody.automation("GET", f"{path}?status={shown['status']}").decoded
        errors = self.everybody.automation("GET", f"{path}/{self.sid}/errors").decoded
        assert [one["workflowId"] for one in found] == [self.sid]
        logs = [one["status"] for one in shown["logs"]]
        return shown["status"], shown["completedAt"] is not None, logs, len(errors)

    def process(self) -> tuple[str, str]:
        shown = self.everybody.process("GET", f"/status/{self.sid}")
        return shown["status"], shown["message"]


def _day(text: Any) -> Any:
    """Return a date without its year and seconds; anything else as it is."""
    is_date = isinstance(text, str) and text[4:5] == "-"
    return text[5:16].replace("T", " ") if is_date else text


WAITS = ("WAITING", "Your transaction waits for its time.")
RUNNABLE: tuple[str, bool, list[str], int] = ("Runnable", False, [], 0)
PLAIN: dict[str, Any] = {
    "status": "ACTIVE",
    "phase": "AHEAD",
    "plannedDate": "01-10 10:00",
    "nextEvent": "01-10 10:00",
}
BOTH = ["charge 01-10 10:00 PENDING", "remind 01-08 10:00 PENDING"]
RETRIED = ["charge 01-10 16:00 PENDING", "remind 01-08 10:00 PROCESSED, completed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Commands, and every view after them. The defaults are the views of a member without commands."""

    act: Callable[[Member], object]
    instance: Mapping[str, Any] = field(default_factory=lambda: PLAIN)
    forecast: tuple[str, ...] = ("1: 01-10 10:00", "2: 02-10 10:00")
    explain: Mapping[str, str]
    history: list[str] = field(default_factory=lambda: BOTH)
    audit: tuple[str, ...]
    joc: tuple[str, str, bool, bool, bool] = ("SCHEDULED", "01-10 10:00", True, False, True)
    past_orders: tuple[str, ...] = ()
    workflow: tuple[str, bool, list[str], int] = RUNNABLE
    process: tuple[str, str] = WAITS


STORIES: dict[str, Story] = {
    "nothing has happened": Story(
        act=lambda _: None,
        explain={
            "01-08": "NOT_YET_DUE until 01-08 10:00",
            "01-10": "NOT_YET_DUE until 01-10 10:00",
            "02-10": "NOT_YET_DUE until 02-10 10:00",
        },
        audit=(),
    ),
    "cancel at a date": Story(
        act=lambda member: member.command("cancel", at="2026-01-12T00:00:00Z", reason="moves away"),
        instance={**PLAIN, "cancelAt": "01-12 00:00"},
        forecast=("1: 01-10 10:00", "canceled 01-12 00:00"),
        explain={
            "01-08": "NOT_YET_DUE until 01-08 10:00",
            "01-10": "NOT_YET_DUE until 01-10 10:00",
            "02-10": "TO_BE_CANCELED until 01-12 00:00 by admin",
        },
        audit=("admin: cancel-at at=01-12 00:00",),
    ),
    "cancel at the end of a cycle that has not begun": Story(
        act=lambda member: member.command("cancel", at="endOfCycle"),
        instance={**PLAIN, "cancelAt": "01-10 10:00"},
        forecast=("canceled 01-10 10:00",),
        explain={
            "01-08": "TO_BE_CANCELED until 01-10 10:00 by admin",
            "01-10": "TO_BE_CANCELED until 01-10 10:00 by admin",
            "02-10": "TO_BE_CANCELED until 01-10 10:00 by admin",
        },
        audit=("admin: cancel-at at=endOfCycle date=01-10 10:00",),
        joc=("SCHEDULED", "01-10 10:00", False, False, True),
    ),
    "cancel at the end of a cycle that has begun": Story(
        act=lambda member: member.fail_to_pay().command("cancel", at="endOfCycle"),
        instance={**PLAIN, "phase": "RETRYING", "nextEvent": "01-10 14:00", "cancelAt": "02-10 10:00"},
        forecast=("1: 01-10 14:00", "canceled 02-10 10:00"),
        explain={
            "01-10": "WAITING_FOR_RETRY until 01-10 14:00",
            "02-10": "TO_BE_CANCELED until 02-10 10:00 by admin",
        },
        history=["charge 01-10 14:00 PENDING", "remind 01-08 10:00 PROCESSED"],
        audit=("admin: cancel-at at=endOfCycle date=02-10 10:00",),
        joc=("WAITING (DELAYING_RETRY)", "01-10 10:00", True, False, True),
        workflow=("Runnable", False, ["Complete", "Sleeping"], 1),
        process=("RUNNING", "Your transaction has failed and will be retried."),
    ),
    "a cancellation is revoked": Story(
        act=lambda member: member.command("cancel", at="endOfCycle").revoke(),
        explain={"01-10": "NOT_YET_DUE until 01-10 10:00", "02-10": "NOT_YET_DUE until 02-10 10:00"},
        audit=("admin: revoke-cancel", "admin: cancel-at at=endOfCycle date=01-10 10:00"),
    ),
    "the date of a cancellation comes": Story(
        act=lambda member: member.command("cancel", at="endOfCycle", reason="moves away").run_at(
            "01-10 10:00"
        ),
        instance={
            "status": "CANCELED",
            "phase": "CANCELED",
            "plannedDate": "01-10 10:00",
            "stoppedBy": "admin",
        },
        forecast=(),
        explain={
            "01-08": "TO_BE_CANCELED until 01-10 10:00 by admin",
            "01-10": "CANCELED by admin",
            "02-10": "CANCELED by admin",
        },
        history=[
            "farewell 01-11 10:00 PENDING",
            "charge 01-10 10:00 CANCELED, instance canceled: HTTP_REQUEST",
            "remind 01-08 10:00 CANCELED, instance canceled: HTTP_REQUEST",
        ],
        audit=("engine: cancel", "admin: cancel-at at=endOfCycle date=01-10 10:00"),
        joc=("CANCELLED", "01-10 10:00", False, False, False),
        workflow=("Terminated", True, [], 0),
        process=("FAILED", "Process cancelled"),
    ),
    "pause until a date": Story(
        act=lambda member: member.command("pause", until="2026-01-15T00:00:00Z"),
        instance={
            **PLAIN,
            "status": "PAUSED",
            "phase": "PAUSED",
            "pausedUntil": "01-15 00:00",
            "stoppedBy": "admin",
        },
        explain={
            "01-08": "PAUSED until 01-15 00:00 by admin",
            "01-10": "PAUSED until 01-15 00:00 by admin",
            "02-10": "NOT_YET_DUE until 02-10 10:00",
        },
        audit=("admin: pause until=01-15 00:00",),
        joc=("SUSPENDED", "01-10 10:00", False, True, False),
        workflow=("Suspended", False, [], 0),
        process=("WAITING", "Process suspended"),
    ),
    "the date of a pause comes": Story(
        act=lambda member: member.command("pause", until="2026-01-15T00:00:00Z").run_at("01-15 00:00"),
        instance={**PLAIN, "plannedDate": "02-10 10:00", "nextEvent": "02-10 10:00"},
        forecast=("2: 02-10 10:00", "3: 03-10 10:00"),
        explain={
            "01-08": "SKIPPED",
            "01-10": "PAUSED until 01-15 00:00 by admin",
            "02-10": "NOT_YET_DUE until 02-10 10:00",
        },
        history=[
            "charge 02-10 10:00 PENDING",
            "remind 02-08 10:00 PENDING",
            "charge 01-10 10:00 PROCESSED",
            "remind 01-08 10:00 CANCELED, skipped: its main event is overdue too",
        ],
        audit=("engine: resume onResume=last", "admin: pause until=01-15 00:00"),
        joc=("SCHEDULED", "02-10 10:00", True, False, True),
        past_orders=("SUCCESSFUL 01-10 10:00",),
        workflow=("Runnable", False, ["Complete"], 0),
        process=("SUCCEEDED", "Your transaction has ended."),
    ),
    "a pause that ends before a cancellation": Story(
        act=lambda member: member.command("cancel", at="2026-01-12T00:00:00Z").command(
            "pause", until="2026-01-09T00:00:00Z"
        ),
        instance={
            **PLAIN,
            "status": "PAUSED",
            "phase": "PAUSED",
            "pausedUntil": "01-09 00:00",
            "stoppedBy": "admin",
            "cancelAt": "01-12 00:00",
        },
        forecast=("1: 01-10 10:00", "canceled 01-12 00:00"),
        explain={
            "01-08": "PAUSED until 01-09 00:00 by admin",
            "01-10": "NOT_YET_DUE until 01-10 10:00",
            "02-10": "TO_BE_CANCELED until 01-12 00:00 by admin",
        },
        audit=("admin: pause until=01-09 00:00", "admin: cancel-at at=01-12 00:00"),
        joc=("SUSPENDED", "01-10 10:00", False, True, False),
        workflow=("Suspended", False, [], 0),
        process=("WAITING", "Process suspended"),
    ),
    "reschedule the next date": Story(
        act=lambda member: member.move("2026-01-20T10:00:00Z"),
        instance={**PLAIN, "nextEvent": "01-20 10:00"},
        forecast=("1: 01-20 10:00", "2: 02-10 10:00"),
        explain={
            "01-08": "MOVED until 01-18 10:00 by admin",
            "01-10": "MOVED until 01-20 10:00",
            "01-20": "NOT_YET_DUE until 01-20 10:00",
            "02-10": "NOT_YET_DUE until 02-10 10:00",
        },
        history=[
            "charge 01-20 10:00 PENDING, rescheduled by admin from 01-10 10:00",
            "remind 01-18 10:00 PENDING",
        ],
        audit=("admin: reschedule date=01-20 10:00 before-1=01-08 10:00 before=01-10 10:00 keepAnchor=true",),
        joc=("SCHEDULED", "01-20 10:00", True, False, True),
    ),
    "reschedule the rhythm": Story(
        act=lambda member: member.move("2026-01-20T10:00:00Z", keepAnchor=False),
        instance={**PLAIN, "plannedDate": "01-20 10:00", "nextEvent": "01-20 10:00"},
        forecast=("1: 01-20 10:00", "2: 02-20 10:00"),
        explain={
            "01-08": "MOVED until 01-18 10:00 by admin",
            "01-10": "MOVED until 01-20 10:00 by admin",
            "01-20": "NOT_YET_DUE until 01-20 10:00",
            "02-10": "NOT_PLANNED",
            "02-20": "NOT_YET_DUE until 02-20 10:00",
        },
        history=["charge 01-20 10:00 PENDING", "remind 01-18 10:00 PENDING"],
        audit=(
            "admin: reschedule date=01-20 10:00 before-1=01-08 10:00 before=01-10 10:00 keepAnchor=false",
        ),
        joc=("SCHEDULED", "01-20 10:00", True, False, True),
    ),
    "reschedule one event": Story(
        act=lambda member: member.move("2026-01-09T10:00:00Z", REMINDER),
        explain={
            "01-08": "MOVED until 01-09 10:00",
            "01-09": "NOT_YET_DUE until 01-09 10:00",
            "01-10": "NOT_YET_DUE until 01-10 10:00",
        },
        history=[
            "charge 01-10 10:00 PENDING",
            "remind 01-09 10:00 PENDING, rescheduled by admin from 01-08 10:00",
        ],
        audit=("admin: reschedule date=01-09 10:00 before=01-08 10:00",),
    ),
    "skip cycles that have not begun": Story(
        act=lambda member: member.command("skip", cycles=2),
        instance={**PLAIN, "plannedDate": "03-10 10:00", "nextEvent": "03-10 10:00"},
        forecast=("3: 03-10 10:00", "4: 04-10 10:00"),
        explain={
            "01-08": "CANCELED by admin",
            "01-10": "SKIPPED by admin",
            "02-10": "SKIPPED by admin",
            "03-10": "NOT_YET_DUE until 03-10 10:00",
        },
        history=[
            "charge 03-10 10:00 PENDING",
            "remind 03-08 10:00 PENDING",
            "charge 01-10 10:00 CANCELED, skipped by an operator",
            "remind 01-08 10:00 CANCELED, its main event was skipped",
        ],
        audit=("admin: skip cycles=2",),
        joc=("SCHEDULED", "03-10 10:00", True, False, True),
    ),
    "skip the cycle after one that has begun": Story(
        act=lambda member: member.fail_to_pay().command("skip"),
        instance={**PLAIN, "phase": "RETRYING", "cyclesToSkip": 1, "nextEvent": "01-10 14:00"},
        forecast=("1: 01-10 14:00", "3: 03-10 10:00", "not 2 to 2: skipped by an operator"),
        explain={
            "01-10": "WAITING_FOR_RETRY until 01-10 14:00",
            "02-10": "SKIPPED",
            "03-10": "NOT_YET_DUE until 03-10 10:00",
        },
        history=["charge 01-10 14:00 PENDING", "remind 01-08 10:00 PROCESSED"],
        audit=("admin: skip cycles=1",),
        joc=("WAITING (DELAYING_RETRY)", "01-10 10:00", True, False, True),
        workflow=("Runnable", False, ["Complete", "Sleeping"], 1),
        process=("RUNNING", "Your transaction has failed and will be retried."),
    ),
    "skip a cycle after one that has run": Story(
        act=lambda member: member.pay().command("skip"),
        instance={**PLAIN, "plannedDate": "03-10 10:00", "nextEvent": "03-10 10:00"},
        forecast=("3: 03-10 10:00", "4: 04-10 10:00"),
        explain={"01-10": "RAN", "02-10": "SKIPPED by admin", "03-10": "NOT_YET_DUE until 03-10 10:00"},
        history=[
            "charge 03-10 10:00 PENDING",
            "remind 03-08 10:00 PENDING",
            "charge 02-10 10:00 CANCELED, skipped by an operator",
            "remind 02-08 10:00 CANCELED, its main event was skipped",
            "charge 01-10 10:00 PROCESSED",
            "remind 01-08 10:00 PROCESSED",
        ],
        audit=("admin: skip cycles=1",),
        joc=("SCHEDULED", "03-10 10:00", True, False, True),
        past_orders=("SUCCESSFUL 01-10 10:00",),
        workflow=("Runnable", False, ["Complete", "Complete"], 0),
        process=("SUCCEEDED", "Your transaction has ended."),
    ),
    "change an attribute that dates depend on": Story(
        act=lambda member: member.patch(zone="America/New_York"),
        instance={**PLAIN, "plannedDate": "01-10 15:00", "nextEvent": "01-10 15:00"},
        forecast=("1: 01-10 15:00", "2: 02-10 15:00"),
        explain={"01-08": "MOVED until 01-08 15:00 by admin", "01-10": "MOVED until 01-10 15:00 by admin"},
        history=["charge 01-10 15:00 PENDING", "remind 01-08 15:00 PENDING"],
        audit=("admin: update redated=2 date=01-10 15:00 before-1=01-08 10:00 before=01-10 10:00",),
        joc=("SCHEDULED", "01-10 15:00", True, False, True),
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_every_view_shows_the_command(client: Client, name: str) -> None:
    story, member = STORIES[name], Member(client)
    story.act(member)
    seen = {
        "instance": member.instance(),
        "forecast": tuple(member.forecast()),
        "explain": {day: member.explain(day) for day in story.explain},
        "history": member.history(),
        "audit": tuple(member.audit()),
        "joc": member.joc(),
        "past_orders": tuple(member.past_orders()),
        "workflow": member.workflow(),
        "process": member.process(),
    }
    assert seen == {view: getattr(story, view) for view in seen}


def test_a_dry_run_and_the_forecast_list_the_farewell(client: Client) -> None:
    member = Member(client)
    body = {"at": "2026-01-12T00:00:00Z"}
    foreseen = member.core("POST", f"{member.path}/cancel", {**body, "dryRun": True})["plan"]["runs"]
    assert [(run["task"], _day(run["date"]), run.get("afterCancellation")) for run in foreseen] == [
        ("remind", "01-08 10:00", None),
        ("charge", "01-10 10:00", None),
        ("farewell", "01-13 00:00", True),
    ]
    assert member.core("POST", f"{member.path}/cancel", body)["plan"]["runs"] == foreseen
    ahead = member.core("GET", f"{member.path}/forecast")["onCancelEvents"]
    assert [(event["task"], _day(event["date"])) for event in ahead] == [("farewell", "01-13 00:00")]
    member.run_at(f"01-08 {TEN}", f"01-10 {TEN}", "01-12 00:00")
    assert member.history()[0] == "farewell 01-13 00:00 PENDING"


class TestOtherDialects:
    """The operations that other dialects still allow on a member who has a date of core's."""

    @pytest.fixture
    def member(self, client: Client) -> Member:
        return Member(client)

    def test_what_a_cancellation_bars_cannot_be_continued(self, member: Member, joc: Joc) -> None:
        member.command("cancel", at="endOfCycle")
        status, answer = joc("/orders/continue", {"orderIds": [member.sid]})
        assert (status, answer["error"]["message"]) == (
            420,
            "ControllerObjectNotExistException: No continuable orders found.",
        )

    def test_what_is_due_before_a_cancellation_can_be_continued(self, member: Member, joc: Joc) -> None:
        member.command("cancel", at="2026-01-12T00:00:00Z")
        assert joc("/orders/continue", {"orderIds": [member.sid]})[0] == 200
        member.run_at(f"01-02 {TEN}")
        assert member.history()[1] == "remind 01-08 10:00 PROCESSED"

    def test_suspending_and_resuming_revokes_no_cancellation(self, member: Member) -> None:
        member.command("cancel", at="endOfCycle")
        workflow = f"/definitions/{member.definition}/workflows/{member.sid}"
        for status in ("suspend", "resume"):
            member.everybody.automation("PATCH", workflow, {"status": status})
        for path in ("/orders/suspend", "/orders/resume"):
            member.everybody.orders(path, orderIds=[member.sid])
        assert member.instance() == {**PLAIN, "cancelAt": "01-10 10:00"}

    @pytest.mark.parametrize("dialect", ["8x8", "JOC"])
    def test_a_resume_ends_a_pause_before_its_date(self, member: Member, dialect: str) -> None:
        member.command("pause", until="2026-01-15T00:00:00Z")
        if dialect == "8x8":
            workflow = f"/definitions/{member.definition}/workflows/{member.sid}"
            member.everybody.automation("PATCH", workflow, {"status": "resume"})
        else:
            member.everybody.orders("/orders/resume", orderIds=[member.sid])
        assert member.instance() == PLAIN

    @pytest.mark.parametrize("dialect", ["8x8", "JOC"])
    def test_a_cancel_does_not_wait_for_the_date(self, member: Member, dialect: str) -> None:
        member.command("cancel", at="2026-01-12T00:00:00Z")
        if dialect == "8x8":
            workflow = f"/definitions/{member.definition}/workflows/{member.sid}"
            member.everybody.automation("PATCH", workflow, {"status": "terminate"})
        else:
            member.everybody.orders("/orders/cancel", orderIds=[member.sid])
        assert member.workflow() == ("Terminated", True, [], 0)
        assert member.process() == ("FAILED", "Process cancelled")

    def test_an_order_for_a_date_moves_with_it(self, member: Member, joc: Joc) -> None:
        order = {"workflowPath": "/membership", "scheduledFor": "2026-02-01 00:00:00"}
        arguments = {"customerId": "c-2", "zone": "UTC"}
        (order_id,) = joc("/orders/add", {"orders": [{**order, "arguments": arguments}]})[1]["orderIds"]
        sid = next(sid for sid in member.client.ports.instances.instances if sid != member.sid)
        body = {"date": "2026-02-03T00:00:00Z"}
        member.core("POST", f"/execution-instance/{sid}/reschedule", body)
        moved = joc.read(order_id)
        assert (moved["state"]["_text"], moved["scheduledFor"]) == ("SCHEDULED", 1770076800000)

    def test_a_process_with_a_schedule_of_its_own(self, member: Member) -> None:
        body = {
            "name": "membership",
            "values": {"customerId": "c-2", "zone": "UTC"},
            "quartzDef": "0 0 9 ? * MON",
        }
        sid = member.everybody.process("POST", "/start", body)["robustaSpid"]
        path = f"/execution-instance/{sid}"
        member.core("POST", f"{path}/skip")
        member.core("POST", f"{path}/reschedule", {"date": "2026-01-14T09:00:00Z"})
        member.core("POST", f"{path}/cancel", {"at": "2026-01-20T00:00:00Z"})
        assert member.everybody.process("GET", f"/status/{sid}") == {
            "status": "WAITING",
            "message": "Your transaction waits for its time.",
        }
        forecast = member.core("GET", f"{path}/forecast")
        assert [_day(one["mainEvent"]["date"]) for one in forecast["cycles"]] == [
            "01-14 09:00",
            "01-19 09:00",
        ]
        for date in ("01-14 09:00", "01-19 09:00", "01-20 00:00"):
            member.client.ports.clock.at = datetime.fromisoformat(f"2026-{date}:00+00:00")
            member.everybody.run(sid)
            expected = {"01-14 09:00": "SUCCEEDED", "01-19 09:00": "SUCCEEDED", "01-20 00:00": "FAILED"}
            assert member.everybody.process("GET", f"/status/{sid}")["status"] == expected[date]
