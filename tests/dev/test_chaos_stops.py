"""The judgement that no service is called after a pause or a cancel of an instance."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.chaos.faults import Stop, plan_faults
from dev.chaos.judge import Call, EventFact, InstanceFact, Rule
from dev.chaos.stops import (
    MAX_AFTER_FREEZE,
    MAX_REQUEST,
    MIN_FREEZE,
    Freeze,
    InstanceStop,
    Operation,
    Sent,
    StopsJudged,
    judge_stops,
    latest_real,
    stops_of,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MS = timedelta(milliseconds=1)
END = NOON + timedelta(minutes=10)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def sent(name: str, at: float, *sids: str, took: float = 1, **members: Any) -> Sent:
    """Return a command that succeeded."""
    answered: dict[str, Any] = {"answered_at": after(at + took), "succeeded": True}
    return Sent(name=name, sids=sids or ("i",), sent_at=after(at), **(answered | members))


def unanswered(name: str, at: float, *sids: str) -> Sent:
    return sent(name, at, *sids, answered_at=None, succeeded=False)


def paused(at: float = 0, *, draining: bool = False) -> Sent:
    return sent("pause", at, draining=draining)


def stops(
    *commands: Sent, operations: tuple[Operation, ...] = (), **drained: datetime
) -> list[tuple[str, datetime, datetime | None]]:
    """Return command and bounds of the stops of the instance ``i``."""
    found = stops_of(commands, operations=operations, drained=drained, resumed_all_at=END)
    return [(stop.command, stop.after, stop.before) for stop in found if stop.sid == "i"]


class TestCancels:
    """A cancel is final from its answer on, or from when its instance had drained if a step was in flight."""

    def test_nothing_was_in_flight(self) -> None:
        assert stops(sent("cancel", 0, draining=False)) == [("cancel", after(1), None)]

    def test_a_step_was_in_flight_until_it_had_drained(self) -> None:
        cancel = sent("cancel", 0, draining=True)

        assert stops(cancel, i=after(9)) == [("cancel", after(9), None)]

    @pytest.mark.parametrize("draining", [True, None])
    def test_it_is_not_known_when_it_had_drained(self, draining: bool | None) -> None:  # noqa: FBT001 - a case
        assert stops(sent("cancel", 0, draining=draining)) == []

    @pytest.mark.parametrize(("drained_at", "since"), [(-5, 1), (9, 9)])
    def test_an_answer_of_another_dialect_does_not_say_what_is_in_flight(
        self, drained_at: float, since: float
    ) -> None:
        assert stops(sent("cancel", 0), i=after(drained_at)) == [("cancel", after(since), None)]

    def test_a_resume_changes_nothing(self) -> None:
        commands = sent("cancel", 0, draining=False), sent("resume", 5)

        assert stops(*commands) == [("cancel", after(1), None)]

    def test_the_first_of_several_counts(self) -> None:
        first, second = sent("cancel", 0, draining=False), sent("cancel", 7, draining=False)

        assert stops(second, first) == stops(first, second) == [("cancel", after(1), None)]

    @pytest.mark.parametrize(
        "members", [{"succeeded": False}, {"answered_at": None, "succeeded": False}], ids=["refused", "lost"]
    )
    def test_a_cancel_without_success_promises_nothing(self, members: dict[str, Any]) -> None:
        assert stops(sent("cancel", 0, draining=False, **members)) == []


class TestPauses:
    """A pause without a step in flight counts from its answer until a resume of its instance is sent."""

    def test_without_a_resume_it_lasts_until_everything_is_resumed(self) -> None:
        assert stops(paused()) == [("pause", after(1), END)]

    @pytest.mark.parametrize("draining", [True, None])
    def test_a_pause_with_a_step_in_flight_is_not_judged(self, draining: bool | None) -> None:  # noqa: FBT001 - a case
        assert stops(sent("pause", 0, draining=draining)) == []

    def test_the_first_resume_after_it_ends_it(self) -> None:
        commands = paused(), sent("resume", 20), sent("bulk resume", 8, "h", "i")

        assert stops(*commands) == [("pause", after(1), after(8))]

    @pytest.mark.parametrize(
        "other",
        [
            sent("resume", 8, "h"),
            sent("strategy resume", 8),
            sent("queue resume", 8),
            sent("pause", 8, "h"),
        ],
        ids=lambda other: f"{other.name} {other.sids[0]}",
    )
    def test_no_other_command_ends_it(self, other: Sent) -> None:
        """The end of a flag releases no instance that is paused itself."""
        assert stops(paused(), other) == [("pause", after(1), END)]

    def test_a_resume_that_was_sent_before_the_answer_leaves_nothing_to_judge(self) -> None:
        assert stops(paused(), sent("resume", 0.5)) == []

    @pytest.mark.parametrize(("answered", "found"), [(-1 * MS, [("pause", after(1), END)]), (0 * MS, [])])
    def test_a_resume_before_the_pause_counts_unless_it_was_answered(
        self, answered: timedelta, found: list[object]
    ) -> None:
        resume = sent("resume", -5, answered_at=NOON + answered)

        assert stops(resume, paused()) == found

    @pytest.mark.parametrize(
        ("ago", "found"), [(MAX_REQUEST + MS, [("pause", after(1), END)]), (MAX_REQUEST, [])]
    )
    def test_a_resume_without_an_answer_may_come_late(self, ago: timedelta, found: list[object]) -> None:
        resume = unanswered("resume", -ago.total_seconds())

        assert stops(resume, paused()) == found

    def test_a_refused_resume_may_have_changed_some(self) -> None:
        assert stops(paused(), sent("resume", 8, succeeded=False)) == [("pause", after(1), after(8))]


class TestResumesInTheBackground:
    """A resume of several instances may continue as a bulk operation after its answer."""

    PAUSED = ("pause", after(1), END)

    @pytest.mark.parametrize(
        ("ended_at", "found"),
        [(NOON - MS, [PAUSED]), (NOON, []), (None, [])],
        ids=["over", "just over", "runs"],
    )
    def test_the_end_of_the_operation_counts(self, ended_at: datetime | None, found: list[object]) -> None:
        resume = sent("bulk resume", -30, "h", "i")
        operation = Operation(began_at=after(-29.5), ended_at=ended_at)

        assert stops(resume, paused(), operations=(operation,)) == found

    @pytest.mark.parametrize("began_at", [after(-31.1), after(-28.9)], ids=["before", "after"])
    def test_an_operation_of_another_request_does_not(self, began_at: datetime) -> None:
        resume = sent("bulk resume", -30, "h", "i")
        operation = Operation(began_at=began_at, ended_at=None)

        assert stops(resume, paused(), operations=(operation,)) == [self.PAUSED]

    def test_without_an_answer_it_may_have_begun_later(self) -> None:
        resume = unanswered("resume", -300, "h", "i")
        operation = Operation(began_at=after(-200), ended_at=None)

        assert stops(resume, paused(), operations=(operation,)) == []

    def test_a_resume_of_one_instance_is_no_operation(self) -> None:
        operation = Operation(began_at=after(-29.5), ended_at=None)

        assert stops(sent("resume", -30), paused(), operations=(operation,)) == [self.PAUSED]


def an_instance(**members: Any) -> InstanceFact:
    event = EventFact(
        sid="i-1",
        status="PROCESSED",
        is_main=True,
        cycle=1,
        first_cycle=1,
        date=NOON,
        due_at=NOON,
        is_open=False,
    )
    return InstanceFact(sid="i", status="CANCELED", start=NOON, cycle=1, events=(replace(event, **members),))


CANCEL = InstanceStop(sid="i", command="cancel", after=NOON)
PAUSE = InstanceStop(sid="i", command="pause", after=NOON, before=after(60))


def judged(
    at: datetime, stop: InstanceStop = CANCEL, *freezes: Freeze, key: str = "i-1-1-1", **event: Any
) -> StopsJudged:
    call = Call(key=key, at=at, path="/charges", status=201, effect=True)
    return judge_stops([an_instance(**event)], [call], [stop], freezes=freezes)


def rules(at: datetime, stop: InstanceStop = CANCEL, **members: Any) -> list[Rule]:
    return [violation.rule for violation in judged(at, stop, **members).violations]


class TestNothingIsCalledAfterAStop:
    """No call of an instance is received after it was stopped."""

    @pytest.mark.parametrize("stop", [CANCEL, PAUSE])
    @pytest.mark.parametrize(
        ("at", "found"), [(NOON - MS, []), (NOON, []), (NOON + MS, [Rule.CALLED_AFTER_STOP])]
    )
    def test_a_call_around_the_stop(self, stop: InstanceStop, at: datetime, found: list[Rule]) -> None:
        assert rules(at, stop) == found

    @pytest.mark.parametrize(("at", "found"), [(after(60) - MS, [Rule.CALLED_AFTER_STOP]), (after(60), [])])
    def test_a_call_around_the_resume(self, at: datetime, found: list[Rule]) -> None:
        assert rules(at, PAUSE) == found

    def test_an_event_after_the_cancelation_may_call(self) -> None:
        assert rules(after(1), after_cancellation=True) == []

    def test_a_call_of_another_instance_is_right(self) -> None:
        assert rules(after(1), replace(CANCEL, sid="h")) == []

    def test_a_call_of_an_unknown_event_is_left_to_another_rule(self) -> None:
        assert rules(after(1), key="other-9-1-1") == []

    def test_a_violation_says_how_late_it_was(self) -> None:
        (violation,) = judged(after(1.25)).violations

        assert violation.what == "i-1-1-1 was received 1.250 s after a cancel had stopped i"

    def test_a_call_that_breaks_two_stops_is_one_violation(self) -> None:
        call = Call(key="i-1-1-1", at=after(1), path="/charges", status=201, effect=True)
        found = judge_stops([an_instance()], [call], [CANCEL, PAUSE])

        assert [violation.rule for violation in found.violations] == [Rule.CALLED_AFTER_STOP]
        assert found.judged == {"cancel": 1, "pause": 1}


class TestFrozenRunners:
    """Excused is a call of a process that was frozen for longer than its lease covers."""

    FREEZE = Freeze(began_at=NOON - MS, ended_at=NOON - MS + MIN_FREEZE)

    def found(self, at: datetime, freeze: Freeze) -> tuple[int, int]:
        """Return the number of violations and of excused calls."""
        found = judged(at, CANCEL, freeze)
        return len(found.violations), found.excused

    @pytest.mark.parametrize(
        ("wait", "found"),
        [(-MS, (1, 0)), (0 * MS, (0, 1)), (MAX_AFTER_FREEZE, (0, 1)), (MAX_AFTER_FREEZE + MS, (1, 0))],
    )
    def test_a_call_just_after_the_freeze_is_excused(self, wait: timedelta, found: tuple[int, int]) -> None:
        assert self.found(self.FREEZE.ended_at + wait, self.FREEZE) == found

    def test_a_shorter_freeze_is_no_excuse(self) -> None:
        shorter = replace(self.FREEZE, ended_at=self.FREEZE.ended_at - MS)

        assert self.found(shorter.ended_at + MS, shorter) == (1, 0)

    def test_a_freeze_that_began_after_the_stop_is_no_excuse(self) -> None:
        later = Freeze(began_at=NOON, ended_at=NOON + MIN_FREEZE)

        assert self.found(later.ended_at, later) == (1, 0)

    @pytest.mark.parametrize("seed", range(20))
    def test_no_planned_stop_of_a_process_is_an_excuse(self, seed: int) -> None:
        """Else the judgement would be blind wherever a runner is frozen."""
        faults = [timed.fault for timed in plan_faults(seed, seconds=600, kills=30)]
        longest = max(fault.seconds for fault in faults if isinstance(fault, Stop))

        assert timedelta(seconds=longest) < MIN_FREEZE


class TestRealTime:
    """Simulated time is real time until the first jump of the clock."""

    MARKS = ((after(0), after(0)), (after(600), after(3)), (after(1200), after(8)))

    @pytest.mark.parametrize(
        ("simulated", "real"), [(-50, -50), (0, 0), (0.001, 3), (600, 3), (600.001, 8), (1200, 8)]
    )
    def test_an_instant_after_an_advance_has_passed_when_the_advance_had_ended(
        self, simulated: float, real: float
    ) -> None:
        assert latest_real(after(simulated), self.MARKS) == after(real)

    def test_an_instant_that_was_not_reached_is_unknown(self) -> None:
        assert latest_real(after(1201), self.MARKS) is None
        assert latest_real(after(0), ()) is None
