"""Commands on orders, and their audit entries.

Source: docs/contracts/orders.md B.3 and B.4; docs/contracts/mapping.md D.2, D.4.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from dev.memory.stores import MemoryInstances
from shared.api.orders.commands import VERDICTS, ItemEffect, Verb
from shared.application.ports import Unreadable
from shared.domain.bulk.operation import MAX_IN_REQUEST, ItemOutcome
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.errors import StoredShapeError
from shared.domain.ids import InstanceSid
from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import Instance, Lease
from tests.dialects.orders.client import Joc
from tests.dialects.wire import NOON
from tests.factories import changed, hours, step, task

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LATER: dict[str, Any] = {"start_date": NOON + DAY, "schedule": OwnSchedule()}
REFILL: dict[str, Any] = {"workflowIds": [{"path": "/refill"}]}
OK = {"deliveryDate": "2026-01-01T12:00:00.000Z", "surveyDate": "2026-01-01T12:00:00.000Z", "ok": True}


def states(joc: Joc, sids: Sequence[str]) -> list[str]:
    return [joc.state(sid) for sid in sids]


class TestCancel:
    """If an order is at rest, it is cancelled at once. If it has ended, it stays as it is, with 200."""

    def test_orders_at_rest_are_cancelled_at_once(self, joc: Joc) -> None:
        head = joc.workflow()
        sids = [joc.order(head, **LATER), joc.order(head, schedule=OwnSchedule(on_call=True))]
        joc("/orders/suspend", {"orderIds": sids[:1]})

        assert joc("/orders/cancel", REFILL) == (200, OK)
        assert states(joc, sids) == ["CANCELLED", "CANCELLED"]
        assert {joc.instance(sid).cancel_reason for sid in sids} == {"HTTP_REQUEST"}

    def test_a_running_order_ends_after_its_step(self, joc: Joc) -> None:
        sid = running(joc)

        assert joc("/orders/cancel", {"orderIds": [sid]})[0] == 200

        decoded = joc.read(sid)
        assert (decoded["state"]["_text"], decoded["marked"]["_text"]) == ("CANCELLED", "CANCELLING")

    def test_kill_does_not_wait_for_the_step(self, joc: Joc) -> None:
        sid = running(joc)
        fence = joc.instance(sid).fence

        assert joc("/orders/cancel", {"orderIds": [sid], "kill": True})[0] == 200

        assert "marked" not in joc.read(sid)
        # A new fence makes the store refuse what the runner of the step still writes.
        assert joc.instance(sid).fence == fence + 1

    @pytest.mark.parametrize("ended", ["cancelled", "finished"])
    def test_a_terminated_order_is_unchanged(self, joc: Joc, ended: str) -> None:
        joc.workflow()
        order = joc.added()
        sid = sid_of(joc, order)
        if ended == "cancelled":
            joc("/orders/cancel", {"orderIds": [order]})
        else:
            joc.run(sid)
        before = joc.instance(sid)

        assert joc("/orders/cancel", {"orderIds": [order]})[0] == 200
        assert joc.instance(sid) == before

    def test_deep_has_no_effect_but_is_audited(self, joc: Joc) -> None:
        sid = joc.order(joc.workflow(), **LATER)

        joc("/orders/cancel", {"orderIds": [sid], "deep": True})

        assert joc.state(sid) == "CANCELLED"
        assert [entry.options for entry in joc.ports.instances.audit] == [("deep",)]


class TestFreshOnly:
    """Only orders that never began are cancelled, even with ``kill``."""

    def test_a_fresh_order_is_cancelled(self, joc: Joc) -> None:
        sid = joc.order(joc.workflow(), **LATER)

        assert joc("/orders/cancel", {"orderIds": [sid], "orderType": "FreshOnly"})[0] == 200
        assert joc.state(sid) == "CANCELLED"
        assert joc.ports.instances.audit[-1].options == ("FreshOnly",)

    @pytest.mark.parametrize("kill", [False, True])
    def test_a_started_order_is_left_alone(self, joc: Joc, kill: bool) -> None:  # noqa: FBT001 - a row
        sid = running(joc)
        before = joc.instance(sid)

        assert joc("/orders/cancel", {"orderIds": [sid], "orderType": "FreshOnly", "kill": kill})[0] == 200
        assert joc.instance(sid) == before

    def test_an_order_between_two_cycles_is_left_alone(self, joc: Joc) -> None:
        sid = joc.order(joc.workflow())
        joc.run(sid)
        # The first cycle has run, so the order is not fresh, although it waits for its date again.
        assert joc.state(sid) == "SCHEDULED"

        joc("/orders/cancel", {"orderIds": [sid], "orderType": "FreshOnly"})

        assert joc.state(sid) == "SCHEDULED"


class TestSuspendAndResume:
    """A suspended order starts no steps; a resumed one continues, even if it had failed."""

    def test_an_order_is_suspended_and_resumed(self, joc: Joc) -> None:
        sid = joc.order(joc.workflow(), **LATER)

        assert joc("/orders/suspend", REFILL) == (200, OK)
        assert joc.state(sid) == "SUSPENDED"
        # No order is left that could be suspended.
        assert joc("/orders/suspend", REFILL)[0] == 420
        assert joc("/orders/resume", REFILL) == (200, OK)
        assert joc.state(sid) == "SCHEDULED"
        assert joc("/orders/resume", REFILL) == (200, OK)

    def test_orders_that_cannot_be_suspended_are_left_out(self, joc: Joc) -> None:
        head = joc.workflow()
        one, two = joc.order(head, **LATER), joc.order(head, **LATER)
        joc("/orders/cancel", {"orderIds": [one]})

        assert joc("/orders/suspend", {"orderIds": [one, two, "gone"]})[0] == 200
        assert states(joc, [one, two]) == ["CANCELLED", "SUSPENDED"]
        assert joc("/orders/suspend", {"orderIds": [one, two]})[0] == 420

    def test_a_failed_order_is_resumed(self, joc: Joc) -> None:
        retry = {"times": 0, "pauseBeforeCancel": True}
        sid = joc.order(joc.workflow(tasks=[task("charge", step("only"), retryConfig=retry)]))
        joc.shop.is_silent = True
        joc.run(sid)
        assert joc.state(sid) == "FAILED"
        joc.shop.is_silent = False

        assert joc("/orders/resume", {"workflowIds": [{"path": "/refill"}], "states": ["FAILED"]})[0] == 200
        joc.run(sid)
        assert joc.state(sid) == "SCHEDULED"

    def test_an_order_with_a_step_in_flight_is_not_resumed(self, joc: Joc) -> None:
        sid = running(joc)
        joc("/orders/suspend", {"orderIds": [sid]})
        assert joc.read(sid)["marked"]["_text"] == "SUSPENDING"

        # A resume without a matching order is no error, but it must not touch this one.
        assert joc("/orders/resume", {"orderIds": [sid]}) == (200, OK)
        assert joc("/orders/resume", REFILL) == (200, OK)
        assert joc.state(sid) == "SUSPENDED"

    def test_kill_suspends_a_running_order_at_once(self, joc: Joc) -> None:
        sid = running(joc)

        joc("/orders/suspend", {"orderIds": [sid], "kill": True})

        assert "marked" not in joc.read(sid)
        assert joc.read(sid)["isResumable"] is True


class TestContinue:
    """An order runs now if it waits for its date, its next attempt, the end of a delay, or a call."""

    @pytest.mark.parametrize("schedule", [OwnSchedule(), OwnSchedule(on_call=True)])
    def test_continue_skips_the_wait_for_a_date(self, joc: Joc, schedule: OwnSchedule) -> None:
        sid = joc.order(joc.workflow(), start_date=NOON + DAY, schedule=schedule)

        assert joc("/orders/continue", {"orderIds": [sid]}) == (200, OK)
        joc.run(sid)

        assert (joc.state(sid), len(joc.shop.keys)) == ("FINISHED", 1)

    def test_continue_skips_the_wait_for_a_retry(self, joc: Joc) -> None:
        retry = {"times": 3, "retryAfter": hours(5)}
        sid = joc.order(joc.workflow(tasks=[task("charge", step("only"), retryConfig=retry)]))
        joc.shop.is_silent = True
        joc.run(sid)
        assert joc.read(sid)["state"]["_reason"] == "DELAYING_RETRY"
        joc.shop.is_silent = False

        joc("/orders/continue", REFILL)
        joc.run(sid)

        assert joc.state(sid) == "SCHEDULED"

    def test_continue_skips_one_delay_only(self, joc: Joc) -> None:
        steps = [
            step("one", delay=hours(5), action="post", nextStep="two"),
            step("two", delay=hours(5), action="post"),
        ]
        sid = joc.order(joc.workflow(tasks=[task("charge", *steps)]))
        joc.run(sid)
        assert joc.read(sid)["state"]["_reason"] == "SLEEPING"

        joc("/orders/continue", REFILL)
        joc.run(sid)

        # The first step has run without its delay; the second one waits for its own.
        assert (joc.read(sid)["state"].get("_reason"), len(joc.shop.keys)) == ("SLEEPING", 1)
        joc.run(sid)
        assert len(joc.shop.keys) == 1

    def test_a_skipped_delay_is_no_longer_the_reason(self, joc: Joc, client: Any) -> None:
        steps = [step("one", nextStep="two"), step("two", delay=hours(5), action="post")]
        sid = joc.order(joc.workflow(tasks=[task("charge", *steps)]))
        joc.run(sid)
        assert explained(client, sid) == "WAITING_FOR_DELAY"

        joc("/orders/continue", REFILL)

        assert explained(client, sid) == "DUE"

    def test_an_order_that_does_not_wait_is_left_out(self, joc: Joc) -> None:
        sid = running(joc)
        other = joc.order(joc.ports.strategies.heads[joc.instance(sid).strategy_sid], **LATER)
        joc("/orders/suspend", {"orderIds": [other]})

        status, answer = joc("/orders/continue", REFILL)

        assert (status, answer["error"]["code"]) == (420, "JOC-161")


class TestConfirm:
    """An event that waits for an operator runs."""

    def test_a_prompting_order_continues(self, joc: Joc) -> None:
        sid = joc.order(joc.workflow(config={"manualTrigger": True}))
        assert joc.state(sid) == "PROMPTING"
        # An event on hold waits for an operator, not for a date.
        assert joc("/orders/continue", REFILL)[0] == 420

        assert joc("/orders/confirm", REFILL) == (200, OK)
        joc.run(sid)

        assert len(joc.shop.keys) == 1

    def test_an_order_of_never_cannot_be_confirmed(self, joc: Joc) -> None:
        sid = joc.order(joc.workflow(), schedule=OwnSchedule(on_call=True))

        assert joc("/orders/confirm", {"orderIds": [sid]})[0] == 420


class TestAudit:
    """Every changed order has one audit entry with comment, minutes and ticket, which core shows."""

    LOG: ClassVar[dict[str, Any]] = {
        "comment": "sold out",
        "timeSpent": 2,
        "ticketLink": "https://tickets.example/1",
    }

    def test_every_command_is_audited(self, joc: Joc) -> None:
        head = joc.workflow()
        sid = joc.order(head, **LATER)
        for path in ("suspend", "resume", "continue", "cancel"):
            assert joc(f"/orders/{path}", {"orderIds": [sid], "auditLog": self.LOG})[0] == 200

        decoded = [
            (e.command, e.by, e.reason, e.minutes_spent, e.ticket, e.target)
            for e in joc.ports.instances.audit
        ]
        assert decoded == [
            (command, "operator", "sold out", 2, "https://tickets.example/1", sid)
            for command in ("pause", "resume", "execute", "cancel")
        ]

    def test_core_shows_the_audit_entries(self, joc: Joc, client: Any) -> None:
        sid = joc.order(joc.workflow(), **LATER)
        joc("/orders/cancel", {"orderIds": [sid], "auditLog": self.LOG, "kill": True, "deep": True})

        _, answer = client("GET", f"/audit?target={sid}")

        entry, creation = answer["items"]
        assert creation["command"] == "create"
        assert entry == {
            "at": "2026-01-01T12:00:00.000Z",
            "by": "operator",
            "command": "cancel",
            "target": sid,
            "from": "ACTIVE",
            "to": "CANCELED",
            "reason": "sold out",
            "minutesSpent": 2,
            "ticket": "https://tickets.example/1",
            "options": ["kill", "deep"],
        }

    def test_the_audit_entries_of_an_operation_name_it(self, joc: Joc, client: Any) -> None:
        sid = joc.order(joc.workflow(), **LATER)
        joc("/orders/cancel", {**REFILL, "auditLog": self.LOG, "kill": True})

        entry, _ = client("GET", f"/audit?target={sid}")[1]["items"]

        assert entry["operation"] == joc.headers["X-Operation-Sid"]
        decoded = client("GET", f"/bulk-operation/{entry['operation']}")[1]
        assert (decoded["comment"], decoded["minutesSpent"], decoded["ticket"]) == (
            *tuple(self.LOG.values()),
        )
        assert decoded["command"] == {"name": "cancel", "kill": True}

    def test_a_refused_command_is_not_audited(self, joc: Joc) -> None:
        joc("/orders/cancel", {"orderIds": ["gone"], "auditLog": self.LOG})

        assert (joc.ports.instances.audit, joc.ports.operations.bulks) == ([], {})


class TestOneOrder:
    """A command on one order by its id is decided in the request, without a bulk operation."""

    @pytest.mark.parametrize(
        ("path", "state"), [("cancel", "CANCELLED"), ("suspend", "SUSPENDED"), ("continue", "SCHEDULED")]
    )
    def test_nothing_is_stored_but_the_order_and_its_audit_entry(
        self, joc: Joc, path: str, state: str
    ) -> None:
        sid = joc.order(joc.workflow(), **LATER)

        assert joc(f"/orders/{path}", {"orderIds": [sid]}) == (200, OK)

        assert "X-Operation-Sid" not in joc.headers
        assert (joc.ports.operations.bulks, len(joc.ports.instances.audit)) == ({}, 1)
        assert joc.state(sid) == state

    def test_an_id_given_twice_beside_unknown_ids_is_one_order(self, joc: Joc) -> None:
        sid = joc.order(joc.workflow(), **LATER)

        assert joc("/orders/cancel", {"orderIds": [sid, "gone", sid]}) == (200, OK)

        assert (joc.state(sid), joc.ports.operations.bulks) == ("CANCELLED", {})

    def test_two_orders_are_a_bulk_operation(self, joc: Joc) -> None:
        head = joc.workflow()
        sids = [joc.order(head, **LATER), joc.order(head, **LATER)]

        assert joc("/orders/cancel", {"orderIds": sids}) == (200, OK)

        assert list(joc.ports.operations.bulks) == [joc.headers["X-Operation-Sid"]]
        assert states(joc, sids) == ["CANCELLED", "CANCELLED"]


class TestManyOrders:
    """If there are more than 25 orders, an operation in the background commands them."""

    def test_more_than_25_orders_are_cancelled_in_the_background(self, joc: Joc) -> None:
        head = joc.workflow()
        sids = [joc.order(head, **LATER) for _ in range(2 * MAX_IN_REQUEST + 1)]

        assert joc("/orders/cancel", {**REFILL, "auditLog": {"comment": "sold out", "timeSpent": 2}}) == (
            200,
            OK,
        )
        assert set(states(joc, sids)) == {"SCHEDULED"}
        joc.carry_through()

        assert set(states(joc, sids)) == {"CANCELLED"}
        audited = [(e.target, e.reason, e.minutes_spent) for e in joc.ports.instances.audit]
        assert sorted(audited) == sorted((sid, "sold out", 2) for sid in sids)

    def test_an_order_that_changed_meanwhile_is_checked_again(self, joc: Joc) -> None:
        head = joc.workflow()
        sids = [joc.order(head, **LATER) for _ in range(MAX_IN_REQUEST + 1)]
        joc("/orders/suspend", REFILL)
        joc.carry_through()
        joc("/orders/cancel", {**REFILL, "states": ["SUSPENDED"]})
        # The cancel has begun in the background when two of its orders are resumed.
        joc("/orders/resume", {"orderIds": sids[3:5]})

        joc.carry_through()

        assert [joc.state(sid) for sid in sids[2:6]] == ["CANCELLED", "SCHEDULED", "SCHEDULED", "CANCELLED"]

    def test_the_operation_keeps_dates_and_places(self, joc: Joc) -> None:
        head, other = joc.workflow(), joc.workflow("other", "/b")
        soon = [
            joc.order(head, start_date=NOON + HOUR, schedule=OwnSchedule()) for _ in range(MAX_IN_REQUEST)
        ]
        late = joc.order(head, **LATER)
        more = [joc.order(other, start_date=NOON + HOUR, schedule=OwnSchedule()) for _ in range(2)]
        third = joc.order(joc.workflow("third", "/c"), start_date=NOON + HOUR, schedule=OwnSchedule())

        body = {"workflowIds": [{"path": "/refill"}, {"path": "other"}], "dateTo": "0d"}
        assert joc("/orders/cancel", body)[0] == 200
        joc.carry_through()

        assert set(states(joc, [*soon, *more])) == {"CANCELLED"}
        assert states(joc, [late, third]) == ["SCHEDULED", "SCHEDULED"]

    def test_named_orders_can_be_commanded_in_the_background(self, joc: Joc) -> None:
        head = joc.workflow()
        sids = [joc.order(head, **LATER) for _ in range(MAX_IN_REQUEST + 1)]

        assert joc("/orders/suspend", {"orderIds": [*sids, "gone"]})[0] == 200
        joc.carry_through()

        assert set(states(joc, sids)) == {"SUSPENDED"}

    @pytest.mark.parametrize(
        ("path", "schedule"), [("continue", OwnSchedule(on_call=True)), ("confirm", None)]
    )
    def test_more_than_25_orders_can_be_continued(
        self, joc: Joc, path: str, schedule: OwnSchedule | None
    ) -> None:
        head = joc.workflow(config={"manualTrigger": schedule is None})
        sids = [joc.order(head, schedule=schedule) for _ in range(MAX_IN_REQUEST + 1)]

        assert joc(f"/orders/{path}", REFILL)[0] == 200
        joc.carry_through()

        assert {joc.instance(sid).events[0].status for sid in sids} == {EventStatus.QUEUED}
        assert len([e for e in joc.ports.instances.audit if e.command == "execute"]) == MAX_IN_REQUEST + 1

    def test_a_command_is_accepted_if_none_of_the_first_orders_matches(self, joc: Joc) -> None:
        head = joc.workflow()
        # More orders than the request itself looks at before it answers.
        for _ in range(501):
            joc.order(head, **LATER)
        last = joc.order(head, schedule=OwnSchedule(on_call=True))

        assert joc("/orders/cancel", {**REFILL, "states": ["PENDING"]})[0] == 200
        joc.carry_through()

        assert joc.state(last) == "CANCELLED"

    def test_a_command_without_matching_orders_is_an_error(self, joc: Joc) -> None:
        head = joc.workflow()
        # Few enough for the request to look at all of them.
        for _ in range(60):
            joc.order(head, **LATER)

        assert joc("/orders/cancel", {**REFILL, "states": ["PENDING"]})[0] == 420
        assert joc.ports.operations.bulks == {}

    @pytest.mark.parametrize(
        ("path", "decoded"),
        [
            ("suspend", {"name": "pause", "kill": True}),
            ("cancel", {"name": "cancel", "kill": True, "unlessBegun": True}),
            ("continue", {"name": "execute", "waiting": "FOR_DATE"}),
        ],
    )
    def test_core_shows_the_command(self, joc: Joc, client: Any, path: str, decoded: dict[str, Any]) -> None:
        joc.order(joc.workflow(), **LATER)
        fresh = {"orderType": "FreshOnly"} if path == "cancel" else {}
        joc(f"/orders/{path}", {**REFILL, "kill": True, **fresh})

        _, answer = client("GET", f"/bulk-operation/{joc.headers['X-Operation-Sid']}")

        assert (answer["command"], answer["counts"]["changed"]) == (decoded, 1)

    def test_core_shows_the_selection(self, joc: Joc, client: Any) -> None:
        head = joc.workflow()
        for _ in range(MAX_IN_REQUEST + 1):
            joc.order(head, **LATER)
        folders = [{"folder": "/", "recursive": False}, {"folder": "/b"}]
        joc("/orders/resume", {"folders": folders})
        joc("/orders/cancel", {"folders": folders, "states": ["SCHEDULED"], "dateFrom": "1d", "dateTo": "2d"})
        sid = joc.headers["X-Operation-Sid"]

        _, decoded = client("GET", f"/bulk-operation/{sid}")

        instance_filter = {
            "phases": ["AHEAD"],
            "plannedFrom": "2026-01-02T00:00:00.000Z",
            "plannedUntil": "2026-01-04T00:00:00.000Z",
        }
        assert decoded["selection"] == {
            "anyOf": [
                {"folder": "/", "flat": True, "statuses": ["ACTIVE"], "filter": instance_filter},
                {"folder": "/b", "statuses": ["ACTIVE"], "filter": instance_filter},
            ]
        }


class OneBroken(MemoryInstances):
    """A store with one instance that cannot be read. ``sid`` is that instance."""

    sid: InstanceSid = InstanceSid("")

    def load(self, sid: InstanceSid) -> Instance | None:
        if sid == self.sid:
            raise StoredShapeError("is nothing that is known today")
        return MemoryInstances.load(self, sid)

    def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
        found = MemoryInstances.load_many(self, [sid for sid in sids if sid != self.sid])
        return found + (
            [Unreadable(key=self.sid, why="is nothing that is known today")] if self.sid in sids else []
        )


class TestUnreadableOrder:
    """If an order cannot be read, the answer is 419 with the reason; the others were commanded."""

    def test_an_unreadable_order_is_an_error_of_the_item(self, joc: Joc) -> None:
        head = joc.workflow()
        good, bad = joc.order(head, **LATER), joc.order(head, **LATER)
        store = OneBroken(instances=joc.ports.instances.instances)
        store.sid = InstanceSid(bad)
        joc.ports.instances = store

        status, answer = joc("/orders/cancel", REFILL)

        assert status == 419
        assert answer == {
            "deliveryDate": "2026-01-01T12:00:00.000Z",
            "errors": [
                {
                    "surveyDate": "2026-01-01T12:00:00.000Z",
                    "path": bad,
                    "code": "JOC-420",
                    "message": "JocException: StoredShapeError: is nothing that is known today",
                }
            ],
        }
        assert joc.state(good) == "CANCELLED"


class TestVerdicts:
    """Every command has an effect for every outcome of an order."""

    def test_every_outcome_has_an_effect(self) -> None:
        assert set(VERDICTS) == {(verb, outcome) for verb in Verb for outcome in ItemOutcome}

    def test_a_cancel_is_accepted_for_every_outcome_but_failures(self) -> None:
        row = [VERDICTS[Verb.CANCEL, outcome] for outcome in ItemOutcome]
        assert row == [
            ItemEffect.DONE,
            ItemEffect.DONE,
            ItemEffect.DONE,
            ItemEffect.LEFT_OUT,
            ItemEffect.BROKEN,
        ]

    @pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.CANCEL])
    def test_other_commands_are_accepted_only_if_an_order_changed(self, verb: Verb) -> None:
        row = [VERDICTS[verb, outcome] for outcome in ItemOutcome]
        assert row == [
            ItemEffect.DONE,
            ItemEffect.LEFT_OUT,
            ItemEffect.LEFT_OUT,
            ItemEffect.LEFT_OUT,
            ItemEffect.BROKEN,
        ]


def explained(client: Any, sid: str) -> Any:
    """Return why the instance's event does not run now."""
    return client("GET", f"/execution-instance/{sid}/explain")[1]["reason"]


def sid_of(joc: Joc, order_id: str) -> InstanceSid:
    return next(one.sid for one in joc.ports.instances.instances.values() if one.origin.order_id == order_id)


def running(joc: Joc) -> str:
    """Return the sid of an order with a step in flight."""
    sid = joc.order(joc.workflow())
    event = joc.instance(sid).events[0]
    busy = changed(event, status=EventStatus.EXECUTING, begun_at=NOON, version=1)
    joc.change(sid, events=(busy,), lease=Lease(seq=event.seq, until=NOON + HOUR), fence=1)
    return sid
