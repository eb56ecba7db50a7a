"""The states of orders, and the commands that are possible in each.

Source: docs/contracts/mapping.md D.3, every cell of its JOC column; docs/contracts/orders.md B.2 and B.4.
"""

from typing import Any

import pytest
from msgspec.structs import replace

from shared.api.orders.listing import COUNTED
from shared.api.orders.states import SEVERITY, SHOWN, State, phases_of
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.instance.event import Event, EventPause, EventStatus, PausedFor
from shared.domain.instance.model import CancelReason, Instance, InstanceStatus, Lease, ScheduledCancellation
from shared.domain.instance.phase import Phase, phase_of
from shared.domain.instance.reason import EventFailure
from tests.dialects.orders.client import ACCOUNT, Joc
from tests.dialects.wire import NOON
from tests.factories import HOUR, a_running_event, a_stop, an_event, an_instance, an_intent, stop_of

BEGUN: dict[str, Any] = {"begun_at": NOON, "version": 1}
LATER = NOON + HOUR


def of(event: Event | None = None, **members: Any) -> Instance:
    events = () if event is None else (event,)
    times = {"start_date": NOON, "created_at": NOON, "updated_at": NOON, "moment": None}
    return an_instance(*events, **{**times, "account_id": ACCOUNT, **members})


def dated(**members: Any) -> Event:
    return an_event(**{"date": NOON, **members})


def stopped(status: InstanceStatus, **members: Any) -> Instance:
    return of(status=status, stop=a_stop(**members))


def paused_for(why: PausedFor) -> Event:
    return dated(status=EventStatus.PAUSED, pause=EventPause(waits_for=why), **BEGUN)


ON_CALL = of(dated(status=EventStatus.ONHOLD), schedule=OwnSchedule(on_call=True))
RUNNING = of(a_running_event(date=NOON), lease=Lease(seq=1, until=LATER), fence=1)
CANCELED = stopped(InstanceStatus.CANCELED, cancel_reason=CancelReason.HTTP_REQUEST)

# Each cell: the instance, its phase; state, reason and severity; continuable, resumable, suspendible.
CELLS: dict[str, tuple[Instance, Phase, str, str | None, int, tuple[bool, bool, bool]]] = {
    "on call": (ON_CALL, Phase.UNDATED, "PENDING", None, 10, (True, False, True)),
    "no fire left": (of(), Phase.UNDATED, "PENDING", None, 10, (False, False, True)),
    "to come": (of(dated(date=LATER)), Phase.AHEAD, "SCHEDULED", None, 1, (True, False, True)),
    "to be canceled at the end of the cycle": (
        of(
            dated(date=LATER),
            cancellation=ScheduledCancellation(at=LATER, by="a", scheduled_at=NOON, from_cycle=1),
        ),
        Phase.AHEAD,
        "SCHEDULED",
        None,
        1,
        (False, False, True),
    ),
    "to be canceled at a date": (
        of(dated(date=LATER), cancellation=ScheduledCancellation(at=LATER, by="a", scheduled_at=NOON)),
        Phase.AHEAD,
        "SCHEDULED",
        None,
        1,
        (True, False, True),
    ),
    "due, not started": (
        of(dated(date=NOON - HOUR)),
        Phase.OVERDUE,
        "BLOCKED",
        None,
        7,
        (False, False, True),
    ),
    "executing": (RUNNING, Phase.RUNNING, "RUNNING", None, 0, (False, False, True)),
    "between steps": (
        of(dated(status=EventStatus.QUEUED, **BEGUN)),
        Phase.BETWEEN_STEPS,
        "INPROGRESS",
        None,
        3,
        (False, False, True),
    ),
    "to be retried": (
        of(dated(date=LATER, run=2, attempt=2, **BEGUN)),
        Phase.RETRYING,
        "WAITING",
        "DELAYING_RETRY",
        8,
        (True, False, True),
    ),
    "in a delay": (
        of(dated(due_at=LATER, first_action=an_intent(), **BEGUN)),
        Phase.DELAYED,
        "WAITING",
        "SLEEPING",
        8,
        (True, False, True),
    ),
    "waiting for an answer": (
        of(paused_for(PausedFor.ANSWER)),
        Phase.AWAITING_ANSWER,
        "WAITING",
        "EXPECTING_NOTICES",
        8,
        (False, False, True),
    ),
    "to be confirmed": (
        of(dated(status=EventStatus.ONHOLD)),
        Phase.ONHOLD,
        "PROMPTING",
        None,
        12,
        (False, False, True),
    ),
    "paused by request": (
        stopped(InstanceStatus.PAUSED),
        Phase.PAUSED,
        "SUSPENDED",
        None,
        5,
        (False, True, False),
    ),
    **{
        f"paused: {why}": (
            replace(stopped(InstanceStatus.PAUSED, for_event=1), events=(paused_for(why),)),
            Phase.STUCK,
            "FAILED",
            None,
            2,
            (False, True, False),
        )
        for why in (PausedFor.EXHAUSTED, PausedFor.IN_DOUBT, PausedFor.POISONED)
    },
    "canceled by request": (CANCELED, Phase.CANCELED, "CANCELLED", None, 2, (False, False, False)),
    **{
        f"canceled: {reason}": (
            stopped(InstanceStatus.CANCELED, cancel_reason=reason),
            Phase.FAULTED,
            "CANCELLED",
            None,
            2,
            (False, False, False),
        )
        for reason in CancelReason
        if reason is not CancelReason.HTTP_REQUEST
    },
    "completed": (
        stopped(InstanceStatus.COMPLETED),
        Phase.COMPLETED,
        "FINISHED",
        None,
        6,
        (False, False, False),
    ),
}


def shown(joc: Joc, instance: Instance) -> dict[str, Any]:
    """Return an instance as the dialect answers it."""
    head = joc.ports.strategies.named(ACCOUNT, "refill") or joc.workflow()
    kept = replace(instance, strategy_sid=head.sid)
    joc.ports.instances.instances[kept.sid] = kept
    return joc.read(kept.sid)


@pytest.mark.parametrize("cell", CELLS)
def test_a_phase_has_its_state_and_commands(joc: Joc, cell: str) -> None:
    instance, phase, text, reason, severity, may = CELLS[cell]
    decoded = shown(joc, instance)

    assert phase_of(instance, now=NOON) is phase
    assert decoded["state"] == {"severity": severity, "_text": text} | ({"_reason": reason} if reason else {})
    assert (decoded["isContinuable"], decoded["isResumable"], decoded["isSuspendible"]) == may
    assert "marked" not in decoded


def test_every_phase_has_a_cell() -> None:
    assert {cell[1] for cell in CELLS.values()} == set(Phase) == set(SHOWN)


def test_a_suspended_order_of_never_has_no_date(joc: Joc) -> None:
    decoded = shown(joc, replace(ON_CALL, status=InstanceStatus.PAUSED, stop=a_stop()))

    assert (decoded["state"]["_text"], decoded["scheduledNever"]) == ("SUSPENDED", True)
    assert "scheduledFor" not in decoded


class TestMarks:
    """A stopped order with a step in flight has a mark, and cannot be resumed."""

    def test_a_suspended_order_in_flight_has_a_mark(self, joc: Joc) -> None:
        decoded = shown(joc, replace(RUNNING, status=InstanceStatus.PAUSED, stop=a_stop(drained_at=None)))

        assert (decoded["state"]["_text"], decoded["marked"]) == (
            "SUSPENDED",
            {"severity": 5, "_text": "SUSPENDING"},
        )
        assert decoded["isResumable"] is False

    def test_a_cancelled_order_in_flight_has_a_mark(self, joc: Joc) -> None:
        decoded = shown(joc, replace(CANCELED, stop=a_stop(drained_at=None)))

        assert (decoded["state"]["_text"], decoded["marked"]) == (
            "CANCELLED",
            {"severity": 2, "_text": "CANCELLING"},
        )


class TestLastOutcome:
    """``lastOutcome`` is set if an outcome is known."""

    def test_a_finished_order_has_succeeded_with_its_outputs(self, joc: Joc) -> None:
        assert shown(joc, stopped(InstanceStatus.COMPLETED))["lastOutcome"] == {"TYPE": "Succeeded"}
        decoded = shown(joc, replace(stopped(InstanceStatus.COMPLETED), outputs={"total": 9.5}))
        assert decoded["lastOutcome"] == {"TYPE": "Succeeded", "namedValues": {"total": 9.5}}

    def test_a_cancelled_order_has_its_reason(self, joc: Joc) -> None:
        assert shown(joc, replace(CANCELED, stop=replace(stop_of(CANCELED), note="sold out")))[
            "lastOutcome"
        ] == {
            "TYPE": "Cancelled",
            "message": "sold out",
        }

    @pytest.mark.parametrize("cell", ["canceled: MAX_ATTEMPTS", "paused: EXHAUSTED"])
    def test_an_order_without_attempts_left_has_failed(self, joc: Joc, cell: str) -> None:
        instance = CELLS[cell][0]
        decoded = shown(joc, replace(instance, stop=replace(stop_of(instance), note="it said no")))

        assert decoded["lastOutcome"] == {"TYPE": "Failed", "message": "it said no"}

    def test_an_order_that_waits_for_its_retry_has_failed_so_far(self, joc: Joc) -> None:
        failure = EventFailure(message="it said no", error_class="http-402", at=NOON)
        event = dated(date=LATER, run=2, failure=failure, **BEGUN)

        assert shown(joc, of(event))["lastOutcome"] == {"TYPE": "Failed", "message": "it said no"}


class TestStates:
    """The states that a client may ask for."""

    def test_some_states_have_no_orders(self) -> None:
        never = [state for state in State if not phases_of([state])]

        assert never == [State.PLANNED, State.BROKEN, State.UNKNOWN]

    def test_every_state_has_the_vendors_severity(self) -> None:
        assert {state.value: severity for state, severity in SEVERITY.items()} == {
            "RUNNING": 0,
            "SCHEDULED": 1,
            "FAILED": 2,
            "CANCELLED": 2,
            "BROKEN": 2,
            "UNKNOWN": 2,
            "INPROGRESS": 3,
            "PLANNED": 4,
            "SUSPENDED": 5,
            "FINISHED": 6,
            "BLOCKED": 7,
            "WAITING": 8,
            "PENDING": 10,
            "PROMPTING": 12,
        }

    def test_every_state_of_an_order_is_counted_in_a_snapshot(self) -> None:
        assert set(COUNTED) == {decoded.text for decoded in SHOWN.values()}
