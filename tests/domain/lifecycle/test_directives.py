from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.calendar.dates import DATE_FORMS, moment_at, zone_named
from shared.domain.instance.attributes import attribute_problem, merge_attributes
from shared.domain.instance.event import Event, EventKind, EventStatus
from shared.domain.instance.model import CancelReason, Instance, InstanceStatus, Stoppage
from shared.domain.instance.reason import Cause, StopReason
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
    """Return the instance after directives that were checked and then applied five minutes later."""
    event = instance.executing
    assert event is not None
    clean = check_directives(strategy, instance, ordered, now=NOON)
    return apply_directives(strategy, instance, event, clean, now=LATER)


def mail(seq: int = 2, **members: Any) -> Event:
    return an_event(seq, **{"kind": EventKind.ADDED, "task": "mail", **members})


def closed(change: Change) -> list[tuple[int, EventStatus]]:
    return [(record.event.seq, record.event.status) for record in change.records]


class TestChecking:
    """Directives are checked when they are given, and stored in a form that can be applied later."""

    def test_unknown_directives_are_refused(self) -> None:
        assert refusal({"pauseInstance": "x", "restart": "now"}) == "unknown directive 'restart'"

    def test_null_directives_are_dropped_except_a_null_response(self) -> None:
        assert check({"response": None, "cancelInstance": None, "attributes": None}) == {"response": None}

    @pytest.mark.parametrize(
        ("ordered", "why"),
        [
            ({"attributes": {"a": "\0"}}, "/attributes/a: must not contain a NUL character"),
            ({"response": ["\ud83d"]}, "/response/0: must not contain half of a surrogate pair"),
            ({"response": {"x": float("inf")}}, "/response/x: must be a number that a double can hold"),
        ],
    )
    def test_values_that_no_expression_could_read_are_refused(
        self, ordered: dict[str, Any], why: str
    ) -> None:
        assert refusal(ordered) == why

    @pytest.mark.parametrize("name", ["cancelInstance", "pauseInstance", "fail"])
    def test_notes_must_be_strings(self, name: str) -> None:
        assert check({name: "enough"}) == {name: "enough"}
        assert refusal({name: True}) == f"{name} must be a string"

    def test_long_notes_are_cut(self) -> None:
        assert check({"fail": "x" * 1001}) == {"fail": "x" * 1000}

    def test_the_order_of_directives_is_kept(self) -> None:
        ordered = {"createEvents": [{"task": "mail"}], "fail": None}
        check(ordered)

        assert ordered == {"createEvents": [{"task": "mail"}], "fail": None}


class TestAttributes:
    """attributes are merged into the instance's; null removes one; the result is checked again."""

    SCHEMA = strategy_from(
        settings(
            instanceValidation={
                "properties": {"fee": {"type": "float64"}},
                "optionalProperties": {"vip": {"type": "boolean"}},
            }
        )
    )
    MEMBER = an_instance(attributes={"fee": 39.5, "vip": True})

    def test_attributes_merge_by_name(self) -> None:
        assert merge_attributes(self.MEMBER, {"fee": 40, "vip": None, "new": "x"}) == {"fee": 40, "new": "x"}

    def test_a_whole_number_is_a_float64_too(self) -> None:
        assert check({"attributes": {"fee": 40}}, self.MEMBER, self.SCHEMA) == {"attributes": {"fee": 40}}

    def test_a_null_removes_an_attribute(self) -> None:
        assert check({"attributes": {"vip": None}}, self.MEMBER, self.SCHEMA) == {"attributes": {"vip": None}}

    def test_the_schema_of_the_strategy_is_enforced(self) -> None:
        assert refusal({"attributes": {"fee": "much"}}, self.MEMBER, self.SCHEMA).startswith(
            "attributes: /fee: "
        )
        assert refusal({"attributes": {"fee": None}}, self.MEMBER, self.SCHEMA).startswith("attributes: /: ")

    @pytest.mark.parametrize("value", [[1], {"a": 1}])
    def test_attributes_must_be_flat(self, value: Any) -> None:
        why = refusal({"attributes": {"a": value}})

        assert why == "attributes: 'a' must be a string, a number or a boolean"

    def test_attributes_take_at_most_16_kb(self) -> None:
        full = an_instance(attributes={"a": "x" * (16 * 1024 - 8)})
        assert check({"attributes": {}}, full) == {"attributes": {}}

        assert refusal({"attributes": {"b": 1}}, full) == "attributes: must take at most 16 KB"

    def test_attributes_must_be_an_object(self) -> None:
        assert refusal({"attributes": ["fee"]}) == "attributes must be an object"

    def test_valid_attributes_have_no_problem(self) -> None:
        assert attribute_problem(STRATEGY, {"a": "x", "b": 1, "c": 1.5, "d": True}) is None

    def test_attributes_are_applied_to_the_instance(self) -> None:
        instance = running(a_running_event(), attributes={"fee": 39.5, "vip": True})
        change = applied(instance, {"attributes": {"fee": 40, "vip": None}})

        assert change.instance == replace(instance, attributes={"fee": 40}, updated_at=LATER)
        assert change.records == ()


class TestCreateEvents:
    """Each entry is {task, date?, data?, manualTrigger?}; the default date is now."""

    def test_an_entry_with_all_members_is_normalised(self) -> None:
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

    def test_an_entry_with_only_a_task_has_defaults(self) -> None:
        order = {"task": "mail", "date": None, "data": None, "manualTrigger": None}
        request = [{"task": "mail", "date": "2026-01-31T12:00:00.000Z", "data": {}, "manualTrigger": False}]

        assert check({"createEvents": [{"task": "mail"}]}) == {"createEvents": request}
        assert check({"createEvents": [order]}) == {"createEvents": request}

    def test_a_date_may_be_a_python_datetime(self) -> None:
        order = {"task": "mail", "date": datetime(2026, 3, 1, tzinfo=UTC)}

        assert check({"createEvents": [order]})["createEvents"][0]["date"] == "2026-03-01T00:00:00.000Z"

    def test_events_under_a_manual_trigger_are_onhold(self) -> None:
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
                f"createEvents: 'tomorrow' is not {DATE_FORMS}",
            ),
        ],
    )
    def test_invalid_entries_are_refused(self, order: Any, why: str) -> None:
        assert refusal({"createEvents": [order]}) == why

    def test_create_events_must_be_a_list(self) -> None:
        assert refusal({"createEvents": {"task": "mail"}}) == "createEvents must be a list"

    def test_events_are_created_on_the_instance(self) -> None:
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
    """ "29 places for events outside the plan"; 21 of the 50 are reserved for the plan."""

    def crowded(self, others: int) -> Instance:
        events = [mail(seq, date=NOON + HOUR) for seq in range(2, others + 2)]
        return running(a_running_event(), *events)

    def test_twenty_nine_events_fit_beside_the_plan(self) -> None:
        assert has_room(self.crowded(28))
        assert not has_room(self.crowded(29))
        assert has_room(self.crowded(27), 2)
        assert not has_room(self.crowded(28), 2)

    def test_events_of_the_plan_do_not_count(self) -> None:
        leading = [an_event(seq, kind=EventKind.LEADING_UP) for seq in range(2, 22)]

        assert has_room(an_instance(an_event(), *leading), 29)

    def test_a_directive_beyond_the_room_is_refused(self) -> None:
        why = refusal({"createEvents": [{"task": "mail"}] * 2}, self.crowded(28))

        assert why == "createEvents: the instance has too many unfinished events"

    def test_an_event_is_left_out_if_the_room_is_gone_when_it_is_applied(self) -> None:
        instance = self.crowded(28)
        clean = check_directives(
            STRATEGY, self.crowded(27), {"createEvents": [{"task": "mail"}] * 2}, now=NOON
        )
        change = apply_directives(STRATEGY, instance, instance.events[0], clean, now=LATER)

        assert len(change.instance.events) == 30


class TestCancelTasks:
    """cancelTasks closes the events of these tasks, except running ones. Without its main event the plan continues
    with the next cycle.
    """

    def test_cancel_tasks_takes_task_keys(self) -> None:
        assert check({"cancelTasks": ["mail", "mail", "charge"]}) == {"cancelTasks": ["mail", "charge"]}
        assert refusal({"cancelTasks": "mail"}) == "cancelTasks must be a list of task keys"
        assert refusal({"cancelTasks": [1]}) == "cancelTasks must be a list of task keys"
        assert refusal({"cancelTasks": ["call"]}) == "cancelTasks: there is no task 'call'"

    def test_events_of_the_tasks_are_closed(self) -> None:
        instance = running(a_running_event(), mail(2), mail(3, task="survey"), mail(4))
        change = applied(instance, {"cancelTasks": ["mail"]})

        assert closed(change) == [(2, EventStatus.CANCELED), (4, EventStatus.CANCELED)]
        assert [record.why for record in change.records] == ["canceled by a controller"] * 2
        assert [event.seq for event in change.instance.events] == [1, 3]
        assert change.instance.status is InstanceStatus.ACTIVE

    def test_the_running_event_is_never_closed(self) -> None:
        instance = running(a_running_event())
        change = applied(instance, {"cancelTasks": ["charge"]})

        assert change.instance == instance
        assert change.records == ()

    def test_an_executing_event_is_never_closed(self) -> None:
        instance = running(a_running_event(), mail(status=EventStatus.EXECUTING))

        assert applied(instance, {"cancelTasks": ["mail"]}).records == ()

    def test_the_next_cycle_is_planned_without_the_main_event(self) -> None:
        instance = running(
            mail(1, status=EventStatus.EXECUTING, begun_at=NOON),
            an_event(2, date=NOON + HOUR),
            an_event(3, kind=EventKind.LEADING_UP, task="survey"),
            an_event(4, kind=EventKind.LEADING_UP, task="survey", begun_at=NOON),
            moment=moment_at(NOON + HOUR, zone_named(STRATEGY.definition.timezone)),
        )
        change = applied(instance, {"cancelTasks": ["charge"]})

        assert closed(change) == [(2, EventStatus.CANCELED), (3, EventStatus.CANCELED)]
        assert change.instance.plan.cycle == 2
        main = change.instance.main_event
        assert main is not None
        assert (main.date, main.status) == (datetime(2026, 2, 28, 13, tzinfo=UTC), EventStatus.PENDING)
        assert [event.seq for event in change.instance.events] == [1, 4, 5]

    def test_a_plan_that_cannot_continue_ends_and_is_not_paused(self) -> None:
        document = settings(task("charge"), task("mail"))
        document["schedule"]["calendars"][0]["scheduleAfter"]["from"] = "missing"
        document["schedule"]["calendars"][0]["runOnCycle"] = 2
        instance = running(mail(1, status=EventStatus.EXECUTING, begun_at=NOON), an_event(2))
        change = applied(
            instance, {"cancelTasks": ["charge"], "pauseInstance": "later"}, strategy_from(document)
        )

        assert change.instance.status is InstanceStatus.CANCELED
        assert change.instance.cancel_reason is CancelReason.CREATE_CYCLE_ERROR


class TestCancelInstance:
    """ "A running event that cancels its instance runs to its end (PROCESSED); its siblings are canceled"."""

    STRATEGY = strategy_from(
        settings(task("charge"), task("mail"), onCancelTasks=[{"task": "mail", "delayBy": hours(1)}])
    )

    def test_the_running_event_may_continue(self) -> None:
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

    def test_the_instance_has_author_and_reason(self) -> None:
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

    def test_cancel_instance_applies_before_pausing_and_canceling_tasks(self) -> None:
        change = applied(
            running(mail(1, status=EventStatus.EXECUTING), an_event(2)),
            {"cancelInstance": "x", "pauseInstance": "y", "cancelTasks": ["charge"]},
        )

        assert change.instance.status is InstanceStatus.CANCELED
        assert change.instance.plan.cycle == 1
        assert closed(change) == [(2, EventStatus.CANCELED)]

    def test_an_event_created_with_the_cancel_is_closed(self) -> None:
        change = applied(
            running(a_running_event()), {"cancelInstance": "x", "createEvents": [{"task": "mail"}]}
        )

        assert closed(change) == [(2, EventStatus.CANCELED)]


class TestPauseInstance:
    """An active instance is paused while its running event finishes; a PAUSED instance stays as it is."""

    def test_an_active_instance_is_paused(self) -> None:
        before = running(a_running_event(), mail())
        after = applied(before, {"pauseInstance": "check first"}).instance

        assert after == replace(
            before,
            status=InstanceStatus.PAUSED,
            stop=Stoppage(
                at=LATER, by="controller", reason=StopReason(cause=Cause.CONTROLLER), note="check first"
            ),
            updated_at=LATER,
        )
        assert after.is_draining

    def test_a_paused_instance_keeps_its_pause(self) -> None:
        before = running(a_running_event(), status=InstanceStatus.PAUSED, stop=a_stop(note="mine"))
        change = applied(before, {"pauseInstance": "check first"})

        assert change == Change(instance=before)


class TestAFinalInstance:
    """ "In a final instance the lifecycle directives do nothing"."""

    @pytest.mark.parametrize("status", [InstanceStatus.CANCELED, InstanceStatus.COMPLETED])
    def test_only_attributes_change_on_a_final_instance(self, status: InstanceStatus) -> None:
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
