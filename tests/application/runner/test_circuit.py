"""Calls of a service whose circuit is not closed. Source: docs/decisions/0069."""

from datetime import timedelta
from typing import Any

import pytest

from dev.memory.limits import MemoryLimits
from dev.memory.world import ManualClock
from shared.application.control import control
from shared.application.explain import explain_at
from shared.application.runner.limits import MAX_RACES
from shared.application.runner.loop import run_due_events
from shared.domain.explain.reasons import Reason
from shared.domain.instance.event import EventStatus
from shared.domain.lifecycle.commands import Cancel, Execute, Pause, Resume
from shared.domain.limits.state import LimitState, Member
from shared.domain.steps.call import AddressRefused, Answered, CallOutcome, TokenRefused, Unreachable
from tests.application.lives import ANN, SILENT, START, Life, settings_with, two_steps
from tests.application.runner.limited import (
    ACCOUNT,
    EVERY,
    MINUTE,
    NOW,
    ORIGIN,
    SECOND,
    Scripted,
    first_event,
    limited,
    state_of,
    waits,
)
from tests.domain.strategy.definitions import changed

TWO: dict[str, Any] = {"failures": 2, "openSeconds": 30}
GATEWAY = Answered(status=502)
DONE = Answered(status=201, body={"id": "1"})


def under(of: Any = None, *, circuit: Any = TWO, **limit: int) -> dict[str, Any]:
    """Return settings whose first service has a circuit, and retries after two minutes."""
    document = settings_with("/config", None) if of is None else of
    document = changed("/services/0/limit", {"circuit": circuit, **limit}, of=document)
    retry = {"times": 9, "jitterPercent": 0, "retryAfter": {"unit": "minutes", "amount": 2}}
    return changed("/tasks/0/retryConfig", retry, of=document)


def with_circuit(**members: int) -> Any:
    """Return a store with a state of the origin."""
    state = LimitState(values={Member[name]: number for name, number in members.items()})
    return lambda _: MemoryLimits(states={(ACCOUNT, ORIGIN): state})


def opened(until: int = 10 * MINUTE, **members: int) -> Any:
    """Return a store whose circuit is open for ten minutes."""
    return with_circuit(
        **{"OPEN_UNTIL": NOW + until, "OPEN_FOR": 30 * SECOND, "FAILURES": 2, "OPENS_AFTER": 2, **members}
    )


class TestOpening:
    """Calls in a row that do not reach the service open its circuit, and the event waits for its retry and for that."""

    @pytest.mark.parametrize(
        "outcome", [GATEWAY, Answered(status=503), Answered(status=504), SILENT, Unreachable(why="refused")]
    )
    def test_an_unreachable_service_is_counted(self, outcome: CallOutcome) -> None:
        life = Life(under(), outcome)
        assert state_of(life) == LimitState(
            values={Member.FAILURES: 1, Member.OPENS_AFTER: 2, Member.OPEN_FOR: 30 * SECOND}
        )

    @pytest.mark.parametrize(
        "outcome",
        [
            DONE,
            Answered(status=402),
            Answered(status=500),
            Answered(status=429),
            Unreachable(why="no token", tried=False),
            AddressRefused(why="internal"),
            TokenRefused(why="busy"),
        ],
    )
    def test_another_outcome_is_not(self, outcome: CallOutcome) -> None:
        assert Life(under(), outcome).ports.limits.states == {}

    def test_the_last_failure_opens_it(self) -> None:
        life = Life(under(), GATEWAY, GATEWAY, to="2026-01-01T12:02")

        assert len(life.requests) == 2
        assert state_of(life) == LimitState(
            values={
                Member.FAILURES: 2,
                Member.OPENS_AFTER: 2,
                Member.OPEN_FOR: 30 * SECOND,
                Member.OPEN_UNTIL: NOW + 2 * MINUTE + 30 * SECOND,
            }
        )

    def test_without_a_circuit_nothing_is_stored(self) -> None:
        life = Life(under(circuit=None), GATEWAY, GATEWAY, to="2026-01-01T12:04")

        assert life.ports.limits.states == {}

    def test_a_service_without_a_limit_counts_nothing(self) -> None:
        life = Life(settings_with("/config", None), GATEWAY)

        assert life.ports.limits.states == {}

    def test_a_step_without_a_call_counts_nothing(self) -> None:
        life = Life(under(settings_with("/tasks/0/steps", [{"key": "charge", "controllerCallback": "{}"}])))

        assert life.ports.limits.states == {}

    def test_the_next_step_of_the_same_run_waits_for_it(self) -> None:
        of = two_steps()
        of["tasks"][0]["steps"][0]["optional"] = True
        life = Life(under(of, circuit={"failures": 1, "openSeconds": 600}), GATEWAY)

        assert life.paths == ["/charges"]
        assert first_event(life).progress.known_visits == 1
        life.until("2026-01-01T12:11")
        assert life.paths == ["/charges", "/refunds"]

    def test_a_healthy_service_is_read_and_not_written(self) -> None:
        life = Life(under(two_steps()), limits=Scripted)

        assert isinstance(life.ports.limits, Scripted)
        assert (life.ports.limits.loads, life.ports.limits.changes) == (2, 0)

    def test_an_answer_after_a_failure_is_one_write(self) -> None:
        life = Life(under(), GATEWAY, DONE, to="2026-01-01T12:02", limits=Scripted)

        assert isinstance(life.ports.limits, Scripted)
        assert life.ports.limits.changes == 2
        assert set(state_of(life).values.values()) == {0}

    def test_under_a_rate_the_answer_knows_of_failures_since_its_permit(self) -> None:
        """Taking a permit returns the state, which the read before it may not have had."""
        counted: dict[str, int] = {Member.FAILURES: 1, Member.OPENS_AFTER: 2, Member.OPEN_FOR: 30 * SECOND}
        life = Life(
            under(perSecond=200),
            limits=lambda clock: Scripted(clock, after_loads={1: LimitState(values=counted)}),
        )

        assert state_of(life)[Member.FAILURES] == 0
        assert state_of(life)[Member.NEXT_AT] == NOW + EVERY


class TestAnOpenCircuit:
    """Calls wait without using an attempt. Pause, cancel and execute act as in any wait for a limit."""

    def test_no_call_is_sent_and_no_attempt_used(self) -> None:
        life = Life(under(), limits=opened())

        event = first_event(life)
        assert life.requests == []
        assert (event.status, event.attempt, event.run) == (EventStatus.PENDING, 1, 1)
        assert (life.instance.lease, event.in_doubt, event.progress.call_in_doubt) == (None, False, False)
        assert timedelta(minutes=10) <= event.due_at - START <= timedelta(minutes=10, seconds=10)

    def test_the_call_is_sent_in_the_end(self) -> None:
        life = Life(under(), limits=opened()).until("2026-01-01T12:11")

        assert len(life.requests) == 1
        assert life.first.event.status is EventStatus.PROCESSED
        assert (life.first.event.attempt, life.first.in_doubt) == (1, False)
        assert state_of(life)[Member.OPEN_UNTIL] == 0

    def test_a_near_end_is_waited_for_under_the_lease(self) -> None:
        life = Life(under(), limits=opened(4 * SECOND))

        assert waits(life) == [timedelta(seconds=4)]
        assert life.first.event.wakeup_seq == 1

    def test_a_pause_keeps_the_call_from_being_sent(self) -> None:
        life = Life(under(), limits=opened())
        life.command(Pause(by=ANN)).until("2026-01-01T13:00")

        assert life.requests == []
        life.command(Resume(by=ANN)).until("2026-01-01T13:01")
        assert (len(life.requests), life.first.event.attempt) == (1, 1)

    def test_a_cancel_ends_the_wait(self) -> None:
        life = Life(under(), limits=opened())
        life.command(Cancel(by=ANN)).until("2026-01-01T13:00")

        assert life.requests == []
        assert (life.first.event.status, life.first.in_doubt) == (EventStatus.CANCELED, False)

    def test_execute_does_not_skip_it(self) -> None:
        life = Life(under(), limits=opened())
        control(life.ports, life.sid, Execute(by=ANN, seq=1))
        life.until("2026-01-01T12:05")

        assert life.requests == []

    def test_a_service_with_another_limit_waits_too(self) -> None:
        assert Life(limited(), limits=opened()).requests == []

    def test_a_service_without_a_limit_does_not(self) -> None:
        assert len(Life(settings_with("/config", None), limits=opened()).requests) == 1

    def test_explain_says_so(self) -> None:
        life = Life(under(), limits=opened())

        finding = explain_at(life.ports, life.instance).finding
        assert finding.reason is Reason.WAITING_FOR_LIMIT
        assert finding.why == f"the circuit of {ORIGIN} is open: calls did not reach it"
        assert (finding.since, finding.until) == (START, first_event(life).due_at)

    def test_a_permit_that_is_kept_is_lost_if_the_circuit_opens_meanwhile(self) -> None:
        ahead: dict[str, int] = {
            Member.NEXT_AT: NOW + 30 * SECOND,
            Member.PER_SECOND: 200,
            Member.STATED_AT: NOW,
        }

        def limits(clock: ManualClock) -> MemoryLimits:
            open_now: dict[str, int] = {
                **ahead,
                Member.OPEN_UNTIL: NOW + 10 * MINUTE,
                Member.OPEN_FOR: SECOND,
            }
            store = Scripted(clock, after_changes={1: LimitState(values=open_now)})
            store.states[ACCOUNT, ORIGIN] = LimitState(values=ahead)
            return store

        life = Life(under(perSecond=200), limits=limits)

        assert life.requests == []
        life.until("2026-01-01T12:10")
        assert waits(life) == [timedelta(minutes=10)]

    def test_a_runner_that_sleeps_for_its_permit_learns_of_it(self) -> None:
        ahead: dict[str, int] = {
            Member.NEXT_AT: NOW + 3 * SECOND,
            Member.PER_SECOND: 200,
            Member.STATED_AT: NOW,
        }

        def limits(clock: ManualClock) -> MemoryLimits:
            open_now: dict[str, int] = {
                **ahead,
                Member.OPEN_UNTIL: NOW + 10 * MINUTE,
                Member.OPEN_FOR: SECOND,
            }
            store = Scripted(clock, after_changes={1: LimitState(values=open_now)})
            store.states[ACCOUNT, ORIGIN] = LimitState(values=ahead)
            return store

        assert Life(under(perSecond=200), limits=limits).requests == []


class TestAProbe:
    """The first call after an open circuit takes the right to probe. Its outcome decides for all."""

    @pytest.mark.parametrize(
        "outcome", [DONE, Answered(status=402), Answered(status=500), Answered(status=429)]
    )
    @pytest.mark.parametrize("rate", [{}, {"perSecond": 200}])
    def test_any_answer_closes_the_circuit(self, outcome: CallOutcome, rate: dict[str, int]) -> None:
        life = Life(under(**rate), outcome, limits=opened(0))

        assert len(life.requests) == 1
        assert (state_of(life)[Member.OPEN_UNTIL], state_of(life)[Member.FAILURES]) == (0, 0)

    @pytest.mark.parametrize("outcome", [GATEWAY, SILENT, Unreachable(why="refused")])
    @pytest.mark.parametrize("rate", [{}, {"perSecond": 200}])
    def test_a_failure_opens_it_for_twice_as_long(self, outcome: CallOutcome, rate: dict[str, int]) -> None:
        life = Life(under(**rate), outcome, limits=opened(0))

        assert len(life.requests) == 1
        assert state_of(life)[Member.OPEN_UNTIL] == NOW + 60 * SECOND

    def test_a_failure_of_a_service_without_a_circuit_does_so_too(self) -> None:
        life = Life(limited(), GATEWAY, limits=opened(0))

        assert state_of(life)[Member.OPEN_UNTIL] == NOW + 60 * SECOND

    @pytest.mark.parametrize(
        "outcome", [Unreachable(why="no token", tried=False), AddressRefused(why="x"), TokenRefused(why="x")]
    )
    def test_a_call_that_was_not_ready_lets_its_right_pass(self, outcome: CallOutcome) -> None:
        life = Life(under(), outcome, limits=opened(0))

        # Patience, time of use, the call with one repeat, and the margin.
        assert state_of(life)[Member.OPEN_UNTIL] == NOW + (5 + 60 + 5) * SECOND + 80_000

    def test_while_it_is_in_flight_others_wait(self) -> None:
        life = Life(under(), to="2026-01-01T11:00", limits=opened(0))
        other, before = Life(under()), life.shop.call

        def call(request: Any) -> CallOutcome:
            other.ports.limits.states.update(life.ports.limits.states)
            return before(request)

        life.shop.call = call  # type: ignore[method-assign]
        run_due_events(life.ports, life.sid, job="j", time_left=lambda: timedelta(minutes=15))

        during = Life(under(), limits=lambda _: MemoryLimits(states=other.ports.limits.states))
        assert (len(life.requests), during.requests) == (1, [])

    def test_if_its_runner_crashes_another_call_probes_when_its_right_has_passed(self) -> None:
        life = Life(under(), limits=opened(70 * SECOND))

        assert life.requests == []
        life.until("2026-01-01T12:02")
        assert len(life.requests) == 1

    @pytest.mark.parametrize(("takes", "sent"), [(0.1, 0.2), (1, 2)])
    def test_a_slow_store_does_not_cost_it(self, takes: float, sent: float) -> None:
        def limits(clock: ManualClock) -> MemoryLimits:
            store = Scripted(clock, takes=[takes])
            store.states.update(opened(0)(clock).states)
            return store

        assert waits(Life(under(), limits=limits)) == [timedelta(seconds=sent)]

    def test_under_a_rate_a_slow_store_costs_a_permit_and_not_the_right(self) -> None:
        def limits(clock: ManualClock) -> MemoryLimits:
            store = Scripted(clock, takes=[0.1])
            store.states.update(opened(0)(clock).states)
            return store

        life = Life(under(perSecond=200), limits=limits)

        assert waits(life) == [timedelta(milliseconds=700)]
        assert state_of(life)[Member.OPEN_UNTIL] == 0


class TestAStoreThatFails:
    """Counting is best effort: whatever the store does, the outcome of the call is recorded."""

    @staticmethod
    def failing_after_the_call() -> Life:
        def limits(clock: ManualClock) -> MemoryLimits:
            class Failing(Scripted):
                def try_change(self, *_: Any) -> None:
                    self.changes += 1

            return Failing(clock)

        return Life(under(), GATEWAY, limits=limits)

    def test_a_failure_that_is_not_stored_is_not_counted(self) -> None:
        life = self.failing_after_the_call()

        assert isinstance(life.ports.limits, Scripted)
        assert life.ports.limits.changes == 1
        assert life.ports.limits.states == {}
        assert (first_event(life).status, first_event(life).attempt) == (EventStatus.PENDING, 2)

    def test_a_failure_that_loses_every_race_is_not_counted(self) -> None:
        life = Life(under(), GATEWAY, limits=lambda clock: Scripted(clock, refuses=True))

        assert isinstance(life.ports.limits, Scripted)
        assert life.ports.limits.changes == MAX_RACES
        assert first_event(life).attempt == 2

    def test_a_failure_is_decided_again_on_what_others_have_stored(self) -> None:
        """Another failure is counted while this call is in flight."""
        counted: dict[str, int] = {Member.FAILURES: 1, Member.OPENS_AFTER: 2, Member.OPEN_FOR: 30 * SECOND}
        life = Life(
            under(),
            GATEWAY,
            limits=lambda clock: Scripted(clock, after_loads={1: LimitState(values=counted)}),
        )

        assert state_of(life)[Member.OPEN_UNTIL] == NOW + 30 * SECOND

    def test_a_failure_after_another_has_opened_it_changes_nothing(self) -> None:
        open_now: dict[str, int] = {
            Member.OPEN_UNTIL: NOW + MINUTE,
            Member.OPEN_FOR: MINUTE,
            Member.FAILURES: 2,
        }
        life = Life(
            under(),
            GATEWAY,
            limits=lambda clock: Scripted(clock, after_loads={1: LimitState(values=open_now)}),
        )

        assert state_of(life) == LimitState(values=open_now)
