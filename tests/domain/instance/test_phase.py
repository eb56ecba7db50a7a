"""The phase of an instance. Source: docs/contracts/mapping.md D.3, row by row."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.instance.event import EventPause, EventStatus, PausedFor
from shared.domain.instance.model import CancelReason, Instance, InstanceStatus
from shared.domain.instance.phase import Phase, current_event, phase_of
from tests.factories import HOUR, NOON, a_running_event, a_stop, an_event, an_instance, an_intent, running

BEGUN: dict[str, Any] = {"begun_at": NOON, "version": 1}
LATER = NOON + HOUR
A_MOMENT = timedelta(milliseconds=1)


def stopped(status: InstanceStatus, **members: Any) -> Instance:
    return an_instance(status=status, stop=a_stop(**members))


def waiting_for(paused_for: PausedFor) -> Instance:
    return an_instance(an_event(status=EventStatus.PAUSED, pause=EventPause(waits_for=paused_for), **BEGUN))


ROWS = {
    "without events": (an_instance(), Phase.UNDATED),
    "to be run by hand, no date": (
        an_instance(an_event(status=EventStatus.ONHOLD), schedule=OwnSchedule(on_call=True)),
        Phase.UNDATED,
    ),
    "due now": (an_instance(an_event(date=NOON)), Phase.AHEAD),
    "to come": (an_instance(an_event(date=LATER)), Phase.AHEAD),
    "due": (an_instance(an_event(date=NOON - A_MOMENT)), Phase.OVERDUE),
    "told to run": (
        an_instance(an_event(status=EventStatus.QUEUED, due_at=NOON - A_MOMENT)),
        Phase.OVERDUE,
    ),
    "executing": (running(a_running_event()), Phase.RUNNING),
    "left by a crashed runner": (running(a_running_event(due_at=NOON - 9 * HOUR)), Phase.RUNNING),
    "to go on": (an_instance(an_event(status=EventStatus.QUEUED, **BEGUN)), Phase.BETWEEN_STEPS),
    "paused by a pause that has ended": (waiting_for(PausedFor.OPERATOR), Phase.BETWEEN_STEPS),
    "to be retried": (an_instance(an_event(date=LATER, run=2, attempt=2, **BEGUN)), Phase.RETRYING),
    "in a step's delay": (
        an_instance(an_event(due_at=LATER, first_action=an_intent(), **BEGUN)),
        Phase.DELAYED,
    ),
    "waiting for an answer": (waiting_for(PausedFor.ANSWER), Phase.AWAITING_ANSWER),
    "to be confirmed": (an_instance(an_event(status=EventStatus.ONHOLD)), Phase.ONHOLD),
    "paused": (stopped(InstanceStatus.PAUSED), Phase.PAUSED),
    "out of attempts": (stopped(InstanceStatus.PAUSED, for_event=1), Phase.STUCK),
    "canceled": (
        stopped(InstanceStatus.CANCELED, cancel_reason=CancelReason.HTTP_REQUEST),
        Phase.CANCELED,
    ),
    **{
        f"canceled: {reason}": (stopped(InstanceStatus.CANCELED, cancel_reason=reason), Phase.FAULTED)
        for reason in CancelReason
        if reason is not CancelReason.HTTP_REQUEST
    },
    "completed": (stopped(InstanceStatus.COMPLETED), Phase.COMPLETED),
}


@pytest.mark.parametrize("row", ROWS)
def test_an_instance_of_each_row_has_its_phase(row: str) -> None:
    instance, phase = ROWS[row]

    assert phase_of(instance, now=NOON) is phase


def test_every_phase_has_a_row() -> None:
    assert {phase for _, phase in ROWS.values()} == set(Phase)


def test_an_event_of_a_crashed_runner_is_between_steps() -> None:
    assert phase_of(running(a_running_event()), now=NOON + 2 * HOUR) is Phase.BETWEEN_STEPS


@pytest.mark.parametrize("phase", Phase)
def test_open_and_over_exclude_each_other(phase: Phase) -> None:
    assert not (phase.is_open and phase.is_over)
    assert phase.is_open == (phase in {row for _, row in ROWS.values() if row.is_open})


class TestTheCurrentEvent:
    """The executing event, else a begun one, else the next to start, else one on hold."""

    HOLD = an_event(1, status=EventStatus.ONHOLD)
    SOON = an_event(2, date=LATER)
    BEGUN_ONE = an_event(3, date=LATER + HOUR, run=2, **BEGUN)

    def test_an_onhold_event_comes_last(self) -> None:
        assert current_event(an_instance(self.HOLD)) == self.HOLD
        assert current_event(an_instance(self.HOLD, self.SOON)) == self.SOON

    def test_a_begun_event_comes_before_the_next_one(self) -> None:
        assert current_event(an_instance(self.HOLD, self.SOON, self.BEGUN_ONE)) == self.BEGUN_ONE

    def test_an_executing_event_comes_first(self) -> None:
        executing = a_running_event(4)

        assert current_event(running(executing, self.BEGUN_ONE)) == executing
