"""Calls of a service that limits how many are in flight. Source: docs/decisions/0072."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from dev.memory.limits import MemoryLimits
from dev.memory.world import ManualClock, MemoryWakeups
from shared.application.control import control
from shared.application.explain import explain_at
from shared.application.ports import ConnectionLostError, LimitAttempt, ServiceCaller
from shared.application.runner.loop import run_due_events
from shared.application.runner.report import RunReport
from shared.domain.explain.reasons import Reason
from shared.domain.ids import AccountId, InstanceSid
from shared.domain.instance.event import EventStatus
from shared.domain.lifecycle.commands import Cancel, Execute, Pause, Resume
from shared.domain.limits.slots import slots_taken
from shared.domain.limits.state import SLOT_PREFIX, LimitChange, LimitState, Member, instant_of, slot_name
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from tests.application.lives import ANN, SILENT, START, Life, settings_with, two_steps
from tests.application.runner.limited import (
    ACCOUNT,
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

ONE: dict[str, int] = {"concurrent": 1}


class Counted(MemoryLimits):
    """A store that keeps all changes. ``refused`` are the numbers of those that are not stored."""

    def __init__(self, *refused: int) -> None:
        super().__init__()
        self.changes: list[LimitChange] = []
        self.refused = refused

    def change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt:
        self.changes.append(change)
        if len(self.changes) in self.refused:
            raise ConnectionLostError("no answer")
        return super().change(account, origin, change)

    def try_change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt | None:
        try:
            return self.change(account, origin, change)
        except ConnectionLostError:
            return None


@dataclass
class Before:
    """A service, and what happens before each of its calls."""

    service: ServiceCaller
    do: Callable[[], object]

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.do()
        return self.service.call(request)


def slow_shop(life: Life, *, seconds: float) -> None:
    """Let each call take a while."""
    life.ports.caller = Before(life.shop, lambda: life.ports.clock.sleep(seconds))


class Repeating(MemoryLimits):
    """A store whose client repeats a change, by number, because the reply was lost."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.changes = number, 0

    def change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt:
        self.changes += 1
        attempt = super().change(account, origin, change)
        return super().change(account, origin, change) if self.changes == self.number else attempt


class Faster(MemoryLimits):
    """A store in which another runner takes a slot just before the change with this number, which wants the same."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.changes = number, 0

    def change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt:
        self.changes += 1
        if self.changes == self.number:
            self._take(name for name in change.sets if name.startswith(SLOT_PREFIX))
        return super().change(account, origin, change)

    def take_all_that_are_taken(self) -> None:
        """Let other runners take the slots that have passed."""
        self._take(
            name
            for name, at in self.states[ACCOUNT, ORIGIN].values.items()
            if name.startswith(SLOT_PREFIX) and at
        )

    def _take(self, names: Iterable[str]) -> None:
        state = self.states[ACCOUNT, ORIGIN]
        taken: dict[str, int] = dict.fromkeys(names, NOW + 60 * MINUTE)
        self.states[ACCOUNT, ORIGIN] = LimitState(values={**state.values, **taken})


def broken() -> None:
    """Fail as a fault in the code does."""
    raise ZeroDivisionError


def stored(life: Life) -> LimitState:
    """Return the state without asking a store that is slow."""
    return life.ports.limits.states.get((ACCOUNT, ORIGIN), LimitState())


def taken(*until: int) -> Callable[[ManualClock], MemoryLimits]:
    """Return a store whose first slots are taken, until so many microseconds after noon."""
    names: dict[str, int] = {slot_name(number): NOW + at for number, at in enumerate(until)}
    state = LimitState(values={Member.CONCURRENT: len(until), Member.CONCURRENT_AT: NOW, **names})
    return lambda _: MemoryLimits(states={(ACCOUNT, ORIGIN): state})


def retrying() -> dict[str, Any]:
    """Return settings with a retry after half a minute."""
    retry = {"times": 1, "jitterPercent": 0, "retryAfter": {"unit": "minutes", "amount": 30}}
    return limited(settings_with("/tasks/0/retryConfig", retry), **ONE)


def slot_of(life: Life, number: int = 0) -> int:
    return state_of(life)[slot_name(number)]


def to_another_service() -> dict[str, Any]:
    """Return settings of two calls: only the service of the first has a limit."""
    document = limited(two_steps(), **ONE)
    document["services"].append({**document["services"][0], "key": "other", "limit": None})
    document["actions"][1]["service"] = "other"
    return document


def slow_return(*, seconds: float) -> Callable[[ManualClock], MemoryLimits]:
    """Return a store whose third request takes long: after it was read, and a slot was taken."""
    return lambda clock: Scripted(clock, takes=[0, 0, seconds, 0])


class Noting(MemoryWakeups):
    """Wakeups, and what happens before each invocation."""

    def __init__(self, do: Callable[[], object]) -> None:
        super().__init__()
        self.do = do

    def invoke(self, sid: InstanceSid) -> None:
        self.do()
        super().invoke(sid)


class TestASlot:
    """A run takes a slot for its calls, by one write, and returns it by another one."""

    def test_a_run_with_one_call(self) -> None:
        store = Counted()
        life = Life(limited(**ONE), limits=lambda _: store)

        assert waits(life) == [timedelta()]
        taking, returning = store.changes
        assert taking.sets[slot_name(0)] > NOW
        assert returning.sets[slot_name(0)] == 0
        assert slot_of(life) == 0
        assert state_of(life)[Member.CONCURRENT] == 1

    def test_a_run_with_two_calls_keeps_it(self) -> None:
        store = Counted()
        life = Life(limited(two_steps(), **ONE), limits=lambda _: store)

        assert len(waits(life)) == 2
        assert len(store.changes) == 2
        assert slot_of(life) == 0

    def test_a_call_long_after_the_first_moves_it_on(self) -> None:
        store = Counted()
        document = limited(two_steps(), **ONE)
        life = Life(document, to="2026-01-01T11:00", limits=lambda _: store)
        slow_shop(life, seconds=11)
        life.until("2026-01-01T12:01")

        assert len(waits(life)) == 2
        first, second, returning = store.changes
        assert second.sets[slot_name(0)] > first.sets[slot_name(0)]
        assert returning.sets[slot_name(0)] == 0

    def test_it_is_returned_before_a_wait(self) -> None:
        document = limited(two_steps(), **ONE)
        document["tasks"][0]["steps"][1]["delay"] = {"unit": "minutes", "amount": 5}
        life = Life(document)

        assert len(life.requests) == 1
        assert slot_of(life) == 0
        life.until("2026-01-01T12:05")
        assert len(life.requests) == 2
        assert slot_of(life) == 0

    def test_it_is_returned_before_a_call_of_another_service(self) -> None:
        document = limited(two_steps(), **ONE)
        other = {**document["services"][0], "key": "other"}
        other["baseUrls"] = [{**base, "url": "https://other.example.test"} for base in other["baseUrls"]]
        document["services"].append({**other, "limit": {"concurrent": 3}})
        document["actions"][1]["service"] = "other"
        store = Counted()
        life = Life(document, limits=lambda _: store)

        assert len(life.requests) == 2
        # Taken and returned at one origin, then at the other.
        numbers = [change.sets[name] for change in store.changes for name in change.sets if "slot" in name]
        assert [number > 0 for number in numbers] == [True, False, True, False]
        assert set(store.states) == {(ACCOUNT, ORIGIN), (ACCOUNT, "https://other.example.test")}

    def test_it_is_returned_before_a_call_without_a_limit(self) -> None:
        life = Life(to_another_service(), to="2026-01-01T11:00")
        slots: list[int] = []
        life.ports.caller = Before(life.shop, lambda: slots.append(slot_of(life)))
        life.until("2026-01-01T12:00")

        assert [at > 0 for at in slots] == [True, False]

    def test_it_is_returned_before_the_time_that_is_left_is_checked(self) -> None:
        """The return takes half a minute. The second call needs a minute, and twenty seconds stay for saving."""
        life = Life(to_another_service(), to="2026-01-01T11:00", limits=slow_return(seconds=30))
        ends = START + timedelta(seconds=105)
        run_due_events(life.ports, life.sid, job="j", time_left=lambda: ends - life.ports.clock.now())

        assert waits(life) == [timedelta()]
        assert life.ports.wakeups.invoked[-1] == life.sid

    def test_it_is_returned_before_the_lease_is_checked(self) -> None:
        life = Life(to_another_service(), to="2026-01-01T11:00", limits=slow_return(seconds=90))
        leased: list[timedelta] = []

        def note() -> None:
            assert life.instance.lease is not None
            leased.append(life.instance.lease.until - life.ports.clock.now())

        life.ports.caller = Before(life.shop, note)
        life.until("2026-01-01T12:01")

        assert waits(life) == [timedelta(), timedelta(seconds=90)]
        assert min(leased) >= timedelta(minutes=1)

    def test_it_is_returned_before_another_invocation_continues(self) -> None:
        life = Life(limited(two_steps(), **ONE), to="2026-01-01T11:00")
        slow_shop(life, seconds=30)
        slots: list[int] = []
        life.ports.wakeups = wakeups = Noting(lambda: slots.append(slot_of(life)))
        ends = START + timedelta(seconds=105)
        run_due_events(life.ports, life.sid, job="j", time_left=lambda: ends - life.ports.clock.now())

        assert (len(life.requests), wakeups.invoked) == (1, [life.sid])
        assert slots == [0]

    def test_a_call_that_fails_returns_it(self) -> None:
        life = Life(retrying(), Answered(status=500))

        assert slot_of(life) == 0
        assert first_event(life).attempt == 2

    def test_a_call_in_doubt_returns_it(self) -> None:
        life = Life(retrying(), SILENT)

        assert slot_of(life) == 0

    def test_how_long_it_was_taken_is_known(self) -> None:
        document = limited(two_steps(), **ONE)
        document["config"] = {"requestDelayTime": 2000}
        life = Life(document)

        # From the first call on: the pause before the second one.
        assert state_of(life)[Member.TAKEN_FOR] == 2 * SECOND


class TestEveryCall:
    """No call is sent without a slot, however slow the store is, and none is left behind."""

    SLOW = (
        [0.005],
        [6.0, 0.005],
        [0.005, 6.0, 0.005],
        [0.005, 0.005, 6.0, 0.005],
        [0.005, 0.005, 0.005, 6.0, 0.005],
    )

    @pytest.mark.parametrize("takes", SLOW)
    @pytest.mark.parametrize("limit", [{"concurrent": 2}, {"concurrent": 2, "perSecond": 200}])
    def test_it_has_a_slot(self, takes: list[float], limit: dict[str, int]) -> None:
        life = Life(
            limited(two_steps(), **limit),
            to="2026-01-01T11:00",
            limits=lambda clock: Scripted(clock, takes=list(takes)),
        )
        taken_at_call: list[int] = []
        life.ports.caller = Before(
            life.shop, lambda: taken_at_call.append(slots_taken(stored(life), now=life.ports.clock.now()))
        )
        life.until("2026-01-01T12:01")

        assert taken_at_call == [1, 1]
        assert slots_taken(stored(life), now=life.ports.clock.now()) == 0
        assert (life.first.event.attempt, life.first.in_doubt) == (1, False)

    @pytest.mark.parametrize("takes", SLOW)
    def test_a_pause_leaves_none_behind(self, takes: list[float]) -> None:
        life = Life(
            limited(**ONE), to="2026-01-01T11:00", limits=lambda clock: Scripted(clock, takes=list(takes))
        )
        ends = START + timedelta(seconds=88)
        run_due_events(life.ports, life.sid, job="j", time_left=lambda: ends - life.ports.clock.now())
        life.command(Pause(by=ANN))

        assert slots_taken(stored(life), now=life.ports.clock.now()) == 0

    def test_an_error_of_the_runner_returns_it(self) -> None:
        life = Life(limited(**ONE), to="2026-01-01T11:00")
        life.ports.caller = Before(life.shop, broken)

        with pytest.raises(ZeroDivisionError):
            life.until("2026-01-01T12:00")
        assert slot_of(life) == 0

    def test_a_repeat_of_a_move_is_its_own(self) -> None:
        """The client repeats a write whose reply was lost, and its own first one refuses it."""
        life = Life(limited(two_steps(), **ONE), to="2026-01-01T11:00", limits=lambda _: Repeating(2))
        slow_shop(life, seconds=11)
        life.until("2026-01-01T12:01")

        assert waits(life) == [timedelta(seconds=11), timedelta(seconds=22)]
        assert slot_of(life) == 0

    def test_a_permit_from_before_the_limit_is_lost(self) -> None:
        ahead: dict[str, int] = {
            Member.NEXT_AT: NOW + 30 * SECOND,
            Member.PER_SECOND: 200,
            Member.STATED_AT: NOW,
        }
        stated: dict[str, int] = {
            **ahead,
            Member.CONCURRENT: 1,
            Member.CONCURRENT_AT: NOW,
            slot_name(0): NOW + 50 * SECOND,
        }

        def limits(clock: ManualClock) -> MemoryLimits:
            store = Scripted(clock, after_changes={1: LimitState(values=stated)})
            store.states[ACCOUNT, ORIGIN] = LimitState(values=ahead)
            return store

        life = Life(limited(perSecond=200), limits=limits)

        (waited,) = waits(life)
        assert timedelta(seconds=50) <= waited <= timedelta(seconds=62)
        assert slot_of(life) == 0


class TestAllTaken:
    """While all slots are taken, the call waits: up to five seconds under the lease, then without a runner."""

    @pytest.mark.parametrize("ahead", [1, SECOND, 4 * SECOND])
    def test_a_runner_waits_for_a_short_time(self, ahead: int) -> None:
        life = Life(limited(**ONE), limits=taken(ahead))

        (waited,) = waits(life)
        assert timedelta(microseconds=ahead) <= waited <= timedelta(microseconds=ahead + SECOND)
        assert (first_event(life).wakeup_seq if life.instance.event(1) else 1) == 1
        assert (life.first.event.attempt, life.first.event.run) == (1, 1)

    def test_an_event_waits_without_a_runner(self) -> None:
        life = Life(limited(**ONE), limits=taken(20 * SECOND))

        (waited,) = waits(life)
        assert timedelta(seconds=20) <= waited <= timedelta(seconds=26)
        assert (life.first.event.attempt, life.first.event.run, life.first.in_doubt) == (1, 1, False)

    def test_a_runner_that_crashed_keeps_it_until_it_passes(self) -> None:
        life = Life(limited(**ONE), to="2026-01-01T12:11", limits=taken(10 * MINUTE))

        (waited,) = waits(life)
        assert timedelta(minutes=10) <= waited <= timedelta(minutes=10, seconds=12)
        assert (life.first.event.attempt, life.first.event.progress.crashes) == (1, 0)

    def test_explain_says_so(self) -> None:
        life = Life(limited(**ONE), limits=taken(60 * MINUTE))
        # Before it is due again.
        life.ports.clock.at = first_event(life).due_at - timedelta(seconds=1)

        finding = explain_at(life.ports, life.instance).finding
        assert finding.reason is Reason.WAITING_FOR_LIMIT
        assert finding.why == f"the limit of {ORIGIN} (1 in flight)"

    def test_the_wait_is_reported(self) -> None:
        reports: list[RunReport] = []
        life = Life(limited(**ONE), to="2026-01-01T11:00", limits=taken(2 * SECOND))
        run_due_events(
            life.ports, life.sid, job="j", time_left=lambda: timedelta(minutes=15), report=reports.append
        )

        (report,) = reports
        (wait,) = report.limit_waits
        assert wait.service == "billing"
        assert timedelta(seconds=2) <= wait.took <= timedelta(seconds=3)
        assert [call.took for call in report.calls] == [timedelta()]

    def test_a_pause_takes_effect(self) -> None:
        life = Life(limited(**ONE), limits=taken(10 * MINUTE))
        life.command(Pause(by=ANN)).until("2026-01-01T13:00")

        assert life.requests == []
        life.command(Resume(by=ANN)).until("2026-01-01T13:01")
        assert (len(life.requests), life.first.event.attempt) == (1, 1)

    def test_a_cancel_takes_effect(self) -> None:
        life = Life(limited(**ONE), limits=taken(10 * MINUTE))
        life.command(Cancel(by=ANN)).until("2026-01-01T13:00")

        assert life.requests == []
        assert (life.first.event.status, life.first.in_doubt) == (EventStatus.CANCELED, False)

    def test_a_stricter_limit_of_another_strategy_counts(self) -> None:
        life = Life(limited(concurrent=50), limits=taken(20 * SECOND))

        (waited,) = waits(life)
        assert waited >= timedelta(seconds=20)


class TestARace:
    """A runner that finds a free slot taken by another one looks again a little later."""

    def test_it_waits_as_if_all_were_taken(self) -> None:
        two: dict[str, int] = {Member.CONCURRENT: 2, Member.CONCURRENT_AT: NOW}
        there: dict[str, int] = {**two, slot_name(0): NOW + MINUTE, slot_name(1): NOW + SECOND // 100}

        def limits(clock: ManualClock) -> MemoryLimits:
            # Read as free, and taken before the write.
            store = Scripted(clock, after_loads={1: LimitState(values=there)})
            store.states[ACCOUNT, ORIGIN] = LimitState(values={**two, slot_name(0): NOW + MINUTE})
            return store

        life = Life(limited(concurrent=2), limits=limits)

        (waited,) = waits(life)
        assert timedelta(milliseconds=250) <= waited <= timedelta(milliseconds=750)
        store = life.ports.limits
        assert isinstance(store, Scripted)
        # Refused, and taken; then it is returned.
        assert store.changes == 3

    def test_so_does_one_whose_own_slot_has_passed(self) -> None:
        """Its first call took very long. Others have taken its slot, and then the one that it wants instead."""
        life = Life(limited(two_steps(), concurrent=9), to="2026-01-01T11:00", limits=lambda _: Faster(2))
        store = life.ports.limits
        assert isinstance(store, Faster)
        first_call = iter([True])

        def takes_long() -> None:
            if next(first_call, False):
                life.ports.clock.sleep(600)
                store.take_all_that_are_taken()

        life.ports.caller = Before(life.shop, takes_long)
        life.until("2026-01-01T12:01")

        first, second = waits(life)
        assert timedelta(milliseconds=250) <= second - first <= timedelta(milliseconds=750)
        # Taken; refused, and taken; then it is returned.
        assert store.changes == 4


class TestAnUnavailableStore:
    """Without the store no call is sent. A slot that is not returned passes, and nothing else happens."""

    def test_no_call_is_sent(self) -> None:
        life = Life(limited(**ONE), limits=lambda _: Counted(1))

        assert life.requests == []
        life.ports.clock.at = START + timedelta(hours=1)
        run_due_events(life.ports, life.sid, job="j", time_left=lambda: timedelta(minutes=15))
        assert len(life.requests) == 1
        assert (life.first.event.attempt, life.first.in_doubt) == (1, False)

    def test_a_slot_that_is_not_returned_passes(self) -> None:
        store = Counted(2)
        life = Life(limited(**ONE), limits=lambda _: store)

        assert life.first.event.status is EventStatus.PROCESSED
        assert timedelta() < instant_of(slot_of(life)) - START < timedelta(minutes=3)

    def test_a_claim_that_is_given_back_returns_it(self) -> None:
        """The first call is done; the permit of the second one fails."""
        document = limited(two_steps(), concurrent=1, perSecond=200)
        store = Counted(2)
        life = Life(document, limits=lambda _: store)

        assert len(life.requests) == 1
        assert slot_of(life) == 0


def test_execute_lets_an_event_ask_at_once_and_gets_it_no_slot() -> None:
    life = Life(limited(**ONE), limits=taken(10 * MINUTE))
    control(life.ports, life.sid, Execute(by=ANN, seq=1))
    life.until("2026-01-01T12:05")

    assert life.requests == []
