"""Adding an event by hand. Source: docs/contracts/core.md section 5; docs/design.md section 8."""

from datetime import datetime

import pytest
from msgspec.structs import replace

from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.model import MAX_ADDED_KEYS, MAX_UNFINISHED_EVENTS, InstanceStatus
from shared.domain.instance.verdict import AlreadyThere, Applied, Refused
from shared.domain.lifecycle.add_event import added_by
from shared.domain.lifecycle.commands import AddEvent, Cancel, Pause
from shared.domain.steps.directives import ROOM_FOR_THE_PLAN
from tests.lifecycle_factories import ANN, Life, at, life, new, strategy

NOON = at("2026-01-31T12:00")
LATER = at("2026-02-05")


def adding(
    task: str = "greet", *, key: str | None = None, body: str = "b", date: datetime | None = None
) -> AddEvent:
    return AddEvent(task=task, by=ANN, date=date, data={"note": "n"}, key=key, body=body)


class TestAdding:
    """An added event runs beside the plan and does not move it."""

    def test_an_added_event_is_due_at_its_date(self) -> None:
        of = life(request=new("2026-03-10"))
        plan = of.instance.plan.moment

        of.decide(adding(date=LATER), NOON)

        event = of.event("greet")
        assert (event.kind, event.status, event.date, event.data) == (
            EventKind.ADDED,
            EventStatus.PENDING,
            LATER,
            {"note": "n"},
        )
        assert of.instance.plan.moment == plan

    def test_an_event_added_without_a_date_is_due_now(self) -> None:
        of = life(request=new("2026-03-10"))

        of.decide(adding(), NOON)

        assert of.event("greet").due_at == NOON

    def test_an_event_added_onhold_waits_for_an_operator(self) -> None:
        of = life()

        of.decide(AddEvent(task="greet", by=ANN, onhold=True), NOON)

        assert of.event("greet").status is EventStatus.ONHOLD

    def test_an_event_added_under_a_manual_trigger_is_onhold(self) -> None:
        of = life(strategy(manualTrigger=True))

        of.decide(adding(), NOON)

        assert of.event("greet").status is EventStatus.ONHOLD

    def test_a_paused_instance_takes_an_event_and_stays_paused(self) -> None:
        of = life()
        of.decide(Pause(by=ANN), NOON)

        of.decide(adding(), NOON)

        assert of.instance.status is InstanceStatus.PAUSED

    def test_the_audit_entry_names_the_added_event(self) -> None:
        of = life()

        of.decide(adding(), NOON)

        assert (of.audit[-1].command, of.audit[-1].event) == ("add-event", f"{of.instance.sid}-2")


class TestRefusals:
    """A final instance, an unknown task, too much data and a lack of room are refused."""

    def test_a_final_instance_is_refused(self) -> None:
        of = life()
        of.decide(Cancel(by=ANN), NOON)

        verdict = of.decide(adding(), NOON)

        assert isinstance(verdict, Refused)
        assert verdict.why == "the instance is CANCELED"

    def test_every_problem_is_reported_at_once(self) -> None:
        verdict = life().decide(AddEvent(task="none", by=ANN, data={"text": "x" * 5000}), NOON)

        assert isinstance(verdict, Refused)
        assert [(p.pointer, p.rule) for p in verdict.problems] == [
            ("/task", "reference"),
            ("/data", "too-long"),
        ]

    def test_more_events_than_there_is_room_for_are_refused(self) -> None:
        of = life()
        for _ in range(MAX_UNFINISHED_EVENTS - ROOM_FOR_THE_PLAN):
            of.applied(adding(), NOON)

        verdict = of.decide(adding(), NOON)

        assert isinstance(verdict, Refused)
        assert verdict.rule == "room"


class TestRepeatedRequests:
    """If a request is repeated it adds nothing; if its key has another body, it is refused."""

    def test_the_same_request_adds_nothing(self) -> None:
        of = life()
        of.decide(adding(key="k-1"), NOON)
        of.decide(adding(key="k-2"), NOON)

        again = of.decide(adding(key="k-1"), LATER)

        assert isinstance(again, AlreadyThere)
        assert (added_by(again.instance, adding(key="k-1")), added_by(again.instance, adding(key="k-2"))) == (
            2,
            3,
        )

    def test_the_same_key_with_another_body_is_refused(self) -> None:
        of = life()
        of.decide(adding(key="k-1"), NOON)

        verdict = of.decide(adding(key="k-1", body="other"), NOON)

        assert isinstance(verdict, Refused)
        assert verdict.rule == "key-reused"

    def test_the_same_request_under_another_pepper_adds_nothing(self) -> None:
        """While a pepper is replaced, the first request may be stored under either of the two."""
        of = life()
        of.decide(adding(key="old-k", body="old-b"), NOON)
        again = replace(adding(key="new-k", body="new-b"), others=(("old-k", "old-b"),))
        other = replace(adding(key="new-k", body="new-c"), others=(("old-k", "old-c"),))

        verdict = of.decide(again, LATER)
        refused = of.decide(other, LATER)

        assert isinstance(verdict, AlreadyThere)
        assert added_by(verdict.instance, again) == 2
        assert isinstance(refused, Refused)
        assert refused.rule == "key-reused"

    def test_requests_without_a_key_add_an_event_each(self) -> None:
        of = life()
        for number in (2, 3):
            verdict = of.applied(adding(), NOON)
            assert added_by(verdict.instance, adding()) == number

    def test_a_repeat_is_recognised_after_the_instance_is_final(self) -> None:
        of = life()
        of.decide(adding(key="k-1"), NOON)
        of.decide(Cancel(by=ANN), NOON)

        assert isinstance(of.decide(adding(key="k-1"), NOON), AlreadyThere)

    @pytest.mark.parametrize(("ago", "kind"), [(MAX_ADDED_KEYS - 1, AlreadyThere), (MAX_ADDED_KEYS, Applied)])
    def test_the_last_sixteen_requests_are_remembered(self, ago: int, kind: type) -> None:
        of: Life = life()
        of.decide(adding(key="first"), NOON)
        for number in range(ago):
            of.decide(adding(key=f"k-{number}"), NOON)

        assert isinstance(of.decide(adding(key="first"), NOON), kind)
