from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.calendar.dates import moment_at
from shared.domain.instance.attributes import attribute_problem, merge_attributes
from shared.domain.instance.event import Event, EventKind, EventStatus
from shared.domain.instance.model import CancelReason, Instance, InstanceStatus, Stoppage
from shared.domain.instance.verdict import Change
from shared.domain.lifecycle.apply_directives import apply_directives
from shared.domain.steps.directives import DirectiveError, check_directives, has_room
from shared.domain.strategy.model import Strategy
from tests.factories import (
    HOUR,
    NOON,
    a_running_event,
    a_stop,
    an_event,
    an_instance,
    hours,
    running,
    settings,
    stop_of,
    strategy_from,
    task,
)

STRATEGY = strategy_from(settings(task("charge"), task("mail"), task("survey")))
LATER = NOON + timedelta(minutes=5)


def check(ordered: dict[str, Any], instance: Instance | None = None, strategy: Strategy = STRATEGY) -> Any:
    return check_directives(strategy, instance or an_instance(), ordered, now=NOON)


def refusal(ordered: dict[str, Any], instance: Instance | None = None, strategy: Strategy = STRATEGY) -> str:
    with pytest.raises(DirectiveError) as refused:
        check(ordered, instance, strategy)
    return str(refused.value)


def applied(instance: Instance, ordered: dict[str, Any], strategy: Strategy = STRATEGY) -> Change:
    """The instance after orders of its running event, checked and then applied five minutes later."""
    event = instance.executing
    assert event is not None
    clean = check_directives(strategy, instance, ordered, now=NOON)
    return apply_directives(strategy, instance, event, clean, now=LATER)


def mail(seq: int = 2, **members: Any) -> Event:
    return an_event(seq, **{"kind": EventKind.ADDED, "task": "mail", **members})


def closed(change: Change) -> list[tuple[int, EventStatus]]:
    return [(record.event.seq, record.event.status) for record in change.records]


class TestChecked:
    """Orders are checked when they are given, and kept in a form that can be applied later."""

    def test_unknown_ones_are_refused(self) -> None:
        assert refusal({"pauseInstance": "x", "restart": "now"}) == "unknown directive 'restart'"

    def test_null_orders_nothing_but_a_null_response(self) -> None:
        assert check({"response": None, "cancelInstance": None, "attributes": None}) == {"response": None}

    @pytest.mark.parametrize("name", ["cancelInstance", "pauseInstance", "fail"])
    def test_notes_are_texts(self, name: str) -> None:
        assert check({name: "enough"}) == {name: "enough"}
        assert refusal({name: True}) == f"{name} must be a string"

    def test_long_notes_are_cut(self) -> None:
        assert check({"fail": "x" * 1001}) == {"fail": "x" * 1000}

    def test_the_order_is_not_changed(self) -> None:
        ordered = {"createEvents": [{"task": "mail"}], "fail": None}
        check(ordered)

        assert ordered == {"createEvents": [{"task": "mail"}], "fail": None}


class TestAttributes:
    """attributes are merged into the instance's, null removing one; what comes out is checked again."""

    SCHEMA = strategy_from(
        settings(
            instanceValidation={
                "properties": {"fee": {"type": "float64"}},
                "optionalProperties": {"vip": {"type": "boolean"}},
            }
        )
    )
    MEMBER = an_instance(attributes={"fee": 39.5, "vip": True})

    def test_merged(self) -> None:
        assert merge_attributes(self.MEMBER, {"fee": 40, "vip": None, "new": "x"}) == {"fee": 40, "new": "x"}

    def test_a_whole_number_is_a_float64_too(self) -> None:
        assert check({"attributes": {"fee": 40}}, self.MEMBER, self.SCHEMA) == {"attributes": {"fee": 40}}

    def test_one_may_be_removed(self) -> None:
        assert check({"attributes": {"vip": None}}, self.MEMBER, self.SCHEMA) == {"attributes": {"vip": None}}

    def test_the_schema_of_the_strategy_holds(self) -> None:
        assert refusal({"attributes": {"fee": "much"}}, self.MEMBER, self.SCHEMA).startswith(
            "attributes: /fee: "
        )
        assert refusal({"attributes": {"fee": None}}, self.MEMBER, self.SCHEMA).startswith("attributes: /: ")

    @pytest.mark.parametrize("value", [[1], {"a": 1}])
    def test_they_are_flat(self, value: Any) -> None:
        why = refusal({"attributes": {"a": value}})

        assert why == "attributes: 'a' must be a string, a number or a boolean"

    def test_they_take_16_kb_at_most(self) -> None:
        full = an_instance(attributes={"a": "x" * (16 * 1024 - 8)})
        assert check({"attributes": {}}, full) == {"attributes": {}}

        assert refusal({"attributes": {"b": 1}}, full) == "attributes: must take at most 16 KB"

    def test_they_are_an_object(self) -> None:
        assert refusal({"attributes": ["fee"]}) == "attributes must be an object"

    def test_attribute_problem_finds_none_in_good_ones(self) -> None:
        assert attribute_problem(STRATEGY, {"a": "x", "b": 1, "c": 1.5, "d": True}) is None

    def test_applied(self) -> None:
        instance = running(a_running_event(), attributes={"fee": 39.5, "vip": True})
        change = applied(instance, {"attributes": {"fee": 40, "vip": None}})

        assert change.instance == replace(instance, attributes={"fee": 40}, updated_at=LATER)
        assert change.records == ()


class TestCreateEvents:
    """createEvents: each entry must be {task, date?, data?, manualTrigger?}; the date is now unless one is given."""

    def test_in_full(self) -> None:
        order = {
            "task": "mail",
            "date": "2026-03-01T09:00:00+01:00",
            "data": {"a": "b"},
            "manualTrigger": True,
        }

        assert check({"createEvents": [order]}) == {
            "createEvents": [
                {
                    "task": "mail",
                    "date": "2026-03-01T08:00:00.000Z",
                    "data": {"a": "b"},
                    "manualTrigger": True,
                }
            ]
        }

    def test_the_least(self) -> None:
        order = {"task": "mail", "date": None, "data": None, "manualTrigger": None}
        asked = [{"task": "mail", "date": "2026-01-31T12:00:00.000Z", "data": {}, "manualTrigger": False}]

        assert check({"createEvents": [{"task": "mail"}]}) == {"createEvents": asked}
        assert check({"createEvents": [order]}) == {"createEvents": asked}

    def test_a_date_may_be_one_of_python(self) -> None:
        order = {"task": "mail", "date": datetime(2026, 3, 1, tzinfo=UTC)}

        assert check({"createEvents": [order]})["createEvents"][0]["date"] == "2026-03-01T00:00:00.000Z"

    def test_under_manual_trigger_they_wait_on_hold(self) -> None:
        manual = strategy_from(settings(task("mail"), config={"manualTrigger": True}))

        (order,) = check({"createEvents": [{"task": "mail", "manualTrigger": False}]}, strategy=manual)[
            "createEvents"
        ]
        assert order["manualTrigger"] is True

    @pytest.mark.parametrize(
        ("order", "why"),
        [
            ("mail", "createEvents: each entry must be {task, date?, data?, manualTrigger?}"),
            (
                {"task": "mail", "when": "now"},
                "createEvents: each entry must be {task, date?, data?, manualTrigger?}",
            ),
            ({}, "createEvents: there is no task None"),
            ({"task": "call"}, "createEvents: there is no task 'call'"),
            ({"task": ["mail"]}, "createEvents: there is no task ['mail']"),
            ({"task": "mail", "data": "a"}, "createEvents: data must be an object of strings"),
            ({"task": "mail", "data": {"a": 1}}, "createEvents: data must be an object of strings"),
            ({"task": "mail", "data": {"a": "x" * 4096}}, "createEvents: data must take at most 4 KB"),
            ({"task": "mail", "manualTrigger": "yes"}, "createEvents: manualTrigger must be true or false"),
            (
                {"task": "mail", "date": "tomorrow"},
                "createEvents: 'tomorrow' is not a date and time with an offset such as 2026-01-31T10:00:00Z",
            ),
        ],
    )
    def test_anything_else_is_refused(self, order: Any, why: str) -> None:
        assert refusal({"createEvents": [order]}) == why

    def test_it_takes_a_list(self) -> None:
        assert refusal({"createEvents": {"task": "mail"}}) == "createEvents must be a list"

    def test_applied(self) -> None:
        order = {"task": "mail", "date": "2026-03-01T09:00:00Z", "data": {"a": "b"}}
        change = applied(
            running(a_running_event(), cycle=3),
            {"createEvents": [order, {"task": "survey", "manualTrigger": True}]},
        )
        first, second = change.instance.events[1:]

        date = datetime(2026, 3, 1, 9, tzinfo=UTC)
        assert first == Event(
            seq=2,
            kind=EventKind.ADDED,
            task="mail",
            date=date,
            due_at=date,
            status=EventStatus.PENDING,
            created_at=LATER,
            updated_at=LATER,
            created_cycle=3,
            data={"a": "b"},
        )
        assert (second.seq, second.task, second.status) == (3, "survey", EventStatus.ONHOLD)
        assert second.date == NOON
        assert (change.instance.next_seq, change.instance.updated_at) == (4, LATER)


class TestRoom:
    """An instance holds at most 50 unfinished events; 21 places are the plan's: 29 others."""

    def crowded(self, others: int) -> Instance:
        events = [mail(seq, date=NOON + HOUR) for seq in range(2, others + 2)]
        return running(a_running_event(), *events)

    def test_twenty_nine(self) -> None:
        assert has_room(self.crowded(28))
        assert not has_room(self.crowded(29))
        assert has_room(self.crowded(27), 2)
        assert not has_room(self.crowded(28), 2)

    def test_the_plans_own_do_not_count(self) -> None:
        leading = [an_event(seq, kind=EventKind.LEADING_UP) for seq in range(2, 22)]

        assert has_room(an_instance(an_event(), *leading), 29)

    def test_an_order_beyond_is_refused(self) -> None:
        why = refusal({"createEvents": [{"task": "mail"}] * 2}, self.crowded(28))

        assert why == "createEvents: the instance has too many unfinished events"

    def test_one_for_which_the_room_has_gone_since_is_left_out(self) -> None:
        instance = self.crowded(28)
        clean = check_directives(
            STRATEGY, self.crowded(27), {"createEvents": [{"task": "mail"}] * 2}, now=NOON
        )
        change = apply_directives(STRATEGY, instance, instance.events[0], clean, now=LATER)

        assert len(change.instance.events) == 30


class TestCancelTasks:
    """cancelTasks closes the events of these tasks, never the running event nor one in flight. Without its
    main event the plan goes on with the next cycle."""

    def test_takes_task_keys(self) -> None:
        assert check({"cancelTasks": ["mail", "mail", "charge"]}) == {"cancelTasks": ["mail", "charge"]}
        assert refusal({"cancelTasks": "mail"}) == "cancelTasks must be a list of task keys"
        assert refusal({"cancelTasks": [1]}) == "cancelTasks must be a list of task keys"
        assert refusal({"cancelTasks": ["call"]}) == "cancelTasks: there is no task 'call'"

    def test_their_events_are_closed(self) -> None:
        instance = running(a_running_event(), mail(2), mail(3, task="survey"), mail(4))
        change = applied(instance, {"cancelTasks": ["mail"]})

        assert closed(change) == [(2, EventStatus.CANCELED), (4, EventStatus.CANCELED)]
        assert [record.why for record in change.records] == ["canceled by a controller"] * 2
        assert [event.seq for event in change.instance.events] == [1, 3]
        assert change.instance.status is InstanceStatus.ACTIVE

    def test_never_the_running_one(self) -> None:
        instance = running(a_running_event())
        change = applied(instance, {"cancelTasks": ["charge"]})

        assert change.instance == instance
        assert change.records == ()

    def test_never_one_in_flight(self) -> None:
        instance = running(a_running_event(), mail(status=EventStatus.EXECUTING))

        assert applied(instance, {"cancelTasks": ["mail"]}).records == ()

    def test_without_its_main_event_the_next_cycle_is_planned(self) -> None:
        instance = running(
            mail(1, status=EventStatus.EXECUTING, begun_at=NOON),
            an_event(2, date=NOON + HOUR),
            an_event(3, kind=EventKind.LEADING_UP, task="survey"),
            an_event(4, kind=EventKind.LEADING_UP, task="survey", begun_at=NOON),
            moment=moment_at(NOON + HOUR, STRATEGY.definition.zone),
        )
        change = applied(instance, {"cancelTasks": ["charge"]})

        assert closed(change) == [(2, EventStatus.CANCELED), (3, EventStatus.CANCELED)]
        assert change.instance.plan.cycle == 2
        main = change.instance.main_event
        assert main is not None
        assert (main.date, main.status) == (datetime(2026, 2, 28, 13, tzinfo=UTC), EventStatus.PENDING)
        assert [event.seq for event in change.instance.events] == [1, 4, 5]

    def test_a_plan_that_cannot_go_on_ends_and_is_not_paused(self) -> None:
        document = settings(task("charge"), task("mail"))
        document["schedule"]["calendars"][0]["scheduleAfter"]["from"] = "missing"
        instance = running(mail(1, status=EventStatus.EXECUTING, begun_at=NOON), an_event(2))
        change = applied(
            instance, {"cancelTasks": ["charge"], "pauseInstance": "later"}, strategy_from(document)
        )

        assert change.instance.status is InstanceStatus.CANCELED
        assert change.instance.cancel_reason is CancelReason.CREATE_CYCLE_ERROR


class TestCancelInstance:
    """The event that orders it goes on to its own end; its siblings are closed, on-cancel events created."""

    STRATEGY = strategy_from(
        settings(task("charge"), task("mail"), onCancelTasks=[{"task": "mail", "delayBy": hours(1)}])
    )

    def test_the_running_event_may_run_on(self) -> None:
        change = applied(
            running(a_running_event(), mail()), {"cancelInstance": "not in force"}, self.STRATEGY
        )
        running_on, farewell = change.instance.events

        assert (running_on.seq, running_on.status, running_on.after_cancellation) == (
            1,
            EventStatus.EXECUTING,
            True,
        )
        assert (farewell.kind, farewell.date) == (EventKind.ON_CANCEL, LATER + HOUR)
        assert closed(change) == [(2, EventStatus.CANCELED)]

    def test_the_instance_says_who_and_why(self) -> None:
        after = applied(running(a_running_event()), {"cancelInstance": "not in force"}).instance

        assert (after.status, after.cancel_reason) == (
            InstanceStatus.CANCELED,
            CancelReason.CONTROLLER_HELPER,
        )
        assert (stop_of(after).by, after.stop_note, stop_of(after).at) == (
            "controller",
            "not in force",
            LATER,
        )
        assert after.is_draining

    def test_it_goes_before_pausing_and_canceling_tasks(self) -> None:
        change = applied(
            running(mail(1, status=EventStatus.EXECUTING), an_event(2)),
            {"cancelInstance": "x", "pauseInstance": "y", "cancelTasks": ["charge"]},
        )

        assert change.instance.status is InstanceStatus.CANCELED
        assert change.instance.plan.cycle == 1
        assert closed(change) == [(2, EventStatus.CANCELED)]

    def test_what_is_created_with_it_is_closed_with_it(self) -> None:
        change = applied(
            running(a_running_event()), {"cancelInstance": "x", "createEvents": [{"task": "mail"}]}
        )

        assert closed(change) == [(2, EventStatus.CANCELED)]


class TestPauseInstance:
    """An active instance is paused, its running event draining; an instance that is PAUSED stays as it is."""

    def test_an_active_one(self) -> None:
        before = running(a_running_event(), mail())
        after = applied(before, {"pauseInstance": "check first"}).instance

        assert after == replace(
            before,
            status=InstanceStatus.PAUSED,
            stop=Stoppage(at=LATER, by="controller", note="check first"),
            updated_at=LATER,
        )
        assert after.is_draining

    def test_one_that_is_paused_already(self) -> None:
        before = running(a_running_event(), status=InstanceStatus.PAUSED, stop=a_stop(note="mine"))
        change = applied(before, {"pauseInstance": "check first"})

        assert change == Change(instance=before)


class TestAFinalInstance:
    """In a final instance lifecycle directives do nothing; attributes still change."""

    @pytest.mark.parametrize("status", [InstanceStatus.CANCELED, InstanceStatus.COMPLETED])
    def test_only_attributes_change(self, status: InstanceStatus) -> None:
        before = running(a_running_event(after_cancellation=True), mail(), status=status)
        change = applied(
            before,
            {
                "attributes": {"told": True},
                "cancelInstance": "x",
                "pauseInstance": "x",
                "createEvents": [{"task": "mail"}],
                "cancelTasks": ["mail"],
            },
        )

        assert change.instance == replace(before, attributes={"told": True}, updated_at=LATER)
        assert change.records == ()
