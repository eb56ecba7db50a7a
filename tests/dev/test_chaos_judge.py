"""The comparison of ledger and history after a run under faults."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from dev.chaos.judge import (
    Call,
    Commands,
    EventFact,
    InstanceFact,
    Rule,
    Start,
    StepFact,
    Violation,
    event_of,
    judge,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEY = "i-1-1-1"
CHARGE = "/charges"
NONE = Commands()


def a_call(key: str = KEY, status: int = 201, **members: Any) -> Call:
    return replace(Call(key=key, at=START, path=CHARGE, status=status, effect=status < 300), **members)


def a_step(key: str = KEY, **members: Any) -> StepFact:
    return replace(StepFact(key=key, success=True, answered=201), **members)


def a_failed_step(key: str = KEY, **members: Any) -> StepFact:
    return replace(a_step(key, success=False, answered=402), **members)


def an_event(*steps: StepFact, seq: int = 1, **members: Any) -> EventFact:
    event = EventFact(
        sid=f"i-{seq}",
        status="PROCESSED",
        is_main=True,
        cycle=seq,
        first_cycle=seq,
        date=START + (seq - 1) * MINUTE,
        due_at=START + (seq - 1) * MINUTE,
        is_open=False,
        steps=steps,
    )
    return replace(event, **members)


def an_instance(*events: EventFact, **members: Any) -> InstanceFact:
    cycle = max((event.cycle for event in events), default=0)
    instance = InstanceFact(sid="i", status="COMPLETED", start=START, cycle=cycle, events=events)
    return replace(instance, **members)


def rules(instance: InstanceFact, *calls: Call, commands: Commands = NONE) -> list[Rule]:
    found = judge([instance], calls, commands, now=START + 60 * MINUTE)
    return [violation.rule for violation in found]


def test_a_call_that_is_in_both_is_right() -> None:
    assert rules(an_instance(an_event(a_step())), a_call()) == []


def test_the_event_of_a_call_key() -> None:
    assert event_of("0190-aa-7-2-3") == "0190-aa-7"


class TestEachCallIsInTheHistory:
    """Each call that a service received belongs to a stored step, or to an event that is marked as in doubt."""

    def test_no_step_has_its_key(self) -> None:
        assert rules(an_instance(an_event(a_step())), a_call(), a_call("i-1-1-2", effect=False)) == [
            Rule.UNKNOWN_CALL
        ]

    def test_a_call_of_an_unknown_event_is_a_violation(self) -> None:
        assert rules(an_instance(an_event()), a_call("other-9-1-1")) == [Rule.UNKNOWN_CALL]

    def test_a_marked_event_may_have_sent_it(self) -> None:
        assert rules(an_instance(an_event(in_doubt=True)), a_call()) == []


class TestEachAnswerIsInTheLedger:
    """Each answer in the history was given by the service."""

    def test_a_success_that_was_never_received(self) -> None:
        assert rules(an_instance(an_event(a_step()))) == [Rule.UNRECEIVED]

    def test_an_answer_that_was_not_given(self) -> None:
        assert rules(an_instance(an_event(a_step())), a_call(status=402)) == [Rule.UNRECEIVED]

    def test_a_failure_that_the_service_calls_a_success(self) -> None:
        assert rules(an_instance(an_event(a_failed_step())), a_call()) == [Rule.UNRECEIVED]

    def test_a_step_without_a_call(self) -> None:
        step = a_step(sent=False, answered=None)

        assert rules(an_instance(an_event(step))) == []

    def test_a_call_that_was_not_answered_may_not_have_arrived(self) -> None:
        step = a_failed_step(answered=None, in_doubt=True)

        assert rules(an_instance(an_event(step))) == []

    def test_a_lie_is_recorded_as_the_service_said_it(self) -> None:
        lied = a_failed_step(answered=500, in_doubt=True)
        repeated = a_step(repeat=True)
        instance = an_instance(an_event(lied, repeated, in_doubt=True))

        assert rules(instance, a_call(status=500, effect=True), a_call(status=201, effect=False)) == []


class TestNothingIsDoubledUnmarked:
    """A call that was received twice belongs to an event that is marked as in doubt."""

    def test_twice_under_one_key(self) -> None:
        twice = (a_call(), a_call(effect=False))

        assert rules(an_instance(an_event(a_step())), *twice) == [Rule.DOUBLED]

    @pytest.mark.parametrize("mark", [{"repeat": True}, {"in_doubt": True}])
    def test_a_marked_step(self, mark: dict[str, Any]) -> None:
        assert rules(an_instance(an_event(a_step(**mark))), a_call(), a_call(effect=False)) == []

    def test_a_marked_event(self) -> None:
        assert rules(an_instance(an_event(a_step(), in_doubt=True)), a_call(), a_call()) == []

    @pytest.mark.parametrize("status", [409, 425, 429, 503])
    def test_a_refusal_is_no_first_time(self, status: int) -> None:
        steps = (a_failed_step(answered=status), a_step())

        assert rules(an_instance(an_event(*steps)), a_call(status=status), a_call()) == []

    @pytest.mark.parametrize(
        ("key", "effect", "found"), [(KEY, False, []), ("i-1-1-2", True, [Rule.DOUBLED])]
    )
    def test_a_refusal_after_an_effect_is_repeated_under_its_key(
        self,
        key: str,
        effect: bool,  # noqa: FBT001 - a case
        found: list[Rule],
    ) -> None:
        """The service knows the key, and takes effect once. Under another key it does so twice."""
        steps = (a_failed_step(answered=503), a_step(key))
        calls = (a_call(status=503, effect=True), a_call(key, effect=effect))

        assert rules(an_instance(an_event(*steps)), *calls) == found

    def test_a_definite_failure_is_one(self) -> None:
        steps = (a_failed_step(), a_step())

        assert rules(an_instance(an_event(*steps)), a_call(status=402), a_call()) == [Rule.DOUBLED]

    def test_an_effect_under_two_keys(self) -> None:
        steps = (a_step(), a_step("i-1-2-1"))

        assert rules(an_instance(an_event(*steps)), a_call(), a_call("i-1-2-1")) == [Rule.DOUBLED]

    def test_two_effects_at_two_services_are_right(self) -> None:
        steps = (a_step(), a_step("i-1-1-2"))

        assert rules(an_instance(an_event(*steps)), a_call(), a_call("i-1-1-2", path="/receipts")) == []


class TestNothingIsLost:
    """Each event that was due has run, or a command stopped it."""

    @pytest.mark.parametrize("status", ["PENDING", "QUEUED", "EXECUTING"])
    def test_an_open_event_that_was_due(self, status: str) -> None:
        event = an_event(status=status, is_open=True)

        assert rules(an_instance(event, status="ACTIVE")) == [Rule.LOST]

    def test_an_open_event_that_is_not_due(self) -> None:
        event = an_event(status="PENDING", is_open=True, due_at=START + 61 * MINUTE)

        assert rules(an_instance(event, status="ACTIVE")) == []

    @pytest.mark.parametrize(("status", "found"), [("EXECUTING", [Rule.LOST]), ("PENDING", [])])
    def test_an_event_of_a_canceled_instance(self, status: str, found: list[Rule]) -> None:
        event = an_event(status=status, is_open=True)
        commands = Commands(cancels_sent=["i"])

        assert rules(an_instance(event, status="CANCELED"), commands=commands) == found

    def test_an_instance_that_no_command_canceled(self) -> None:
        assert rules(an_instance(status="CANCELED")) == [Rule.LOST]

    def test_a_canceled_event_of_another_instance(self) -> None:
        assert rules(an_instance(an_event(status="CANCELED"))) == [Rule.LOST]

    def test_dates_of_an_own_schedule_that_one_run_made_up_for(self) -> None:
        skipped = an_event(status="CANCELED", skipped=True, cycle=2)

        assert rules(an_instance(skipped, an_event(seq=3), has_own_schedule=True)) == []

    @pytest.mark.parametrize(
        ("members", "of_instance", "next_seq"),
        [
            ({"skipped": False}, {"has_own_schedule": True}, 3),
            ({"skipped": True}, {"has_own_schedule": False}, 3),
            ({"skipped": True}, {"has_own_schedule": True}, None),
        ],
        ids=["no record of skipped dates", "another plan", "no later run"],
    )
    def test_dates_that_nothing_made_up_for(
        self, members: dict[str, Any], of_instance: dict[str, Any], next_seq: int | None
    ) -> None:
        events = [an_event(status="CANCELED", cycle=2, **members)]
        events += [an_event(seq=next_seq)] if next_seq else []

        assert rules(an_instance(*events, **of_instance)) == [Rule.LOST]

    def test_an_event_that_was_given_up(self) -> None:
        assert rules(an_instance(an_event(a_failed_step(), status="FAILED")), a_call(status=402)) == [
            Rule.LOST
        ]

    def test_a_failed_step_ends_a_flow_without_retries(self) -> None:
        event = an_event(a_failed_step(), status="FAILED")

        assert rules(an_instance(event, status="CANCELED", retries=False), a_call(status=402)) == []

    def test_a_flow_without_retries_that_failed_without_a_failed_step(self) -> None:
        event = an_event(a_step(), status="FAILED")
        instance = an_instance(event, status="CANCELED", retries=False)

        assert rules(instance, a_call()) == [Rule.LOST, Rule.LOST]

    def test_a_cycle_is_missing(self) -> None:
        assert rules(an_instance(an_event(), an_event(seq=3))) == [Rule.LOST]

    def test_a_cycle_is_there_twice(self) -> None:
        assert rules(an_instance(an_event(), an_event(seq=2, cycle=1, first_cycle=1), cycle=1)) == [Rule.LOST]

    @pytest.mark.parametrize(("status", "found"), [("COMPLETED", []), ("ACTIVE", [Rule.LOST])])
    def test_a_schedule_of_its_own_may_have_no_date(self, status: str, found: list[Rule]) -> None:
        assert rules(an_instance(cycle=1, has_own_schedule=True, status=status)) == found

    def test_a_calendar_has_a_first_date(self) -> None:
        assert rules(an_instance(cycle=1)) == [Rule.LOST]

    def test_a_range_of_cycles_stands_for_all_of_them(self) -> None:
        assert rules(an_instance(an_event(seq=3, first_cycle=1, status="SKIPPED"))) == []


class TestAnEvenPlan:
    """A plan with a period has every date up to its end."""

    PLAN: ClassVar[dict[str, Any]] = {"period": MINUTE, "end": START + 2 * MINUTE}

    def test_all_cycles_on_their_dates(self) -> None:
        events = [an_event(seq=number) for number in (1, 2, 3)]

        assert rules(an_instance(*events, **self.PLAN)) == []

    def test_the_last_cycle_is_missing(self) -> None:
        events = [an_event(seq=number) for number in (1, 2)]

        assert rules(an_instance(*events, **self.PLAN)) == [Rule.LOST]

    def test_a_canceled_plan_may_end_early(self) -> None:
        instance = an_instance(an_event(), status="CANCELED", **self.PLAN)

        assert rules(instance, commands=Commands(cancels_sent=["i"])) == []

    def test_a_date_has_moved(self) -> None:
        events = [an_event(seq=number) for number in (1, 2)]
        moved = an_event(seq=3, date=START + 2.5 * MINUTE)

        assert rules(an_instance(*events, moved, **self.PLAN)) == [Rule.LOST]


class TestAnsweredCommands:
    """A command that was answered with success has taken effect."""

    def test_a_created_instance_does_not_exist(self) -> None:
        assert rules(an_instance(), commands=Commands(created=["i", "j"])) == [Rule.COMMAND]

    @pytest.mark.parametrize(
        ("status", "found"), [("CANCELED", []), ("COMPLETED", []), ("ACTIVE", [Rule.COMMAND])]
    )
    def test_a_canceled_instance(self, status: str, found: list[Rule]) -> None:
        commands = Commands(cancels_sent=["i"], cancels_answered=["i"])

        assert rules(an_instance(status=status), commands=commands) == found

    def test_a_cancel_without_an_answer_may_have_no_effect(self) -> None:
        assert rules(an_instance(status="ACTIVE"), commands=Commands(cancels_sent=["i"])) == []


class TestOneKeyStartsOneInstance:
    """A start that is sent twice under one Idempotency-Key starts one instance."""

    @staticmethod
    def found(start: Start, *sids: str) -> list[Rule]:
        """Return the rules that are broken if these instances with the attribute of the key are stored."""
        instances = [an_instance(sid=sid, start_key="k") for sid in sids]
        violations = judge(instances, [], Commands(starts=[start]), now=START)
        return [violation.rule for violation in violations]

    @pytest.mark.parametrize("sids", [[], ["i"]], ids=["the answers name none", "both name the same"])
    def test_one_instance_is_right(self, sids: list[str]) -> None:
        assert self.found(Start(key="k", sids=frozenset(sids), succeeded=True), "i") == []

    def test_two_answers_that_name_different_instances(self) -> None:
        start = Start(key="k", sids=frozenset({"i", "j"}), succeeded=True)

        assert self.found(start, "i") == [Rule.STARTED_TWICE]

    @pytest.mark.parametrize("succeeded", [True, False])
    def test_two_stored_instances_that_no_answer_names(self, succeeded: bool) -> None:  # noqa: FBT001 - a case
        assert self.found(Start(key="k", succeeded=succeeded), "i", "j") == [Rule.STARTED_TWICE]

    def test_an_answer_names_another_instance_than_the_stored_one(self) -> None:
        assert self.found(Start(key="k", sids=frozenset({"j"}), succeeded=True), "i") == [Rule.STARTED_TWICE]

    def test_instances_of_other_keys_do_not_count(self) -> None:
        instances = [an_instance(sid="i", start_key="k"), an_instance(sid="j", start_key="l"), an_instance()]
        commands = Commands(starts=[Start(key="k", sids=frozenset({"i"}), succeeded=True)])

        assert judge(instances, [], commands, now=START) == []

    @pytest.mark.parametrize(("succeeded", "found"), [(True, [Rule.COMMAND]), (False, [])])
    def test_a_start_that_left_no_instance(self, succeeded: bool, found: list[Rule]) -> None:  # noqa: FBT001 - a case
        assert self.found(Start(key="k", succeeded=succeeded)) == found


def test_a_violation_says_what_it_is_about() -> None:
    found = judge([an_instance(an_event(a_step()))], [], NONE, now=START)

    assert found == [Violation(Rule.UNRECEIVED, "i-1-1-1 succeeded and was never received")]
