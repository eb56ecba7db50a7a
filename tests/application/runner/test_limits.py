"""Calls under the limit of their service. Source: docs/decisions/0067."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from dev.memory.limits import MemoryLimits
from dev.memory.world import ManualClock
from shared.application.control import control
from shared.application.explain import explain_at
from shared.application.ports import LimitAttempt
from shared.application.runner.limits import MAX_PERMITS, MAX_RACES
from shared.application.runner.loop import run_due_events
from shared.application.runner.report import RunOutcome, RunReport
from shared.domain.explain.reasons import Reason
from shared.domain.ids import AccountId
from shared.domain.instance.event import Event, EventStatus, Resolution
from shared.domain.lifecycle.commands import Cancel, Execute, Pause, Resolve, Resume
from shared.domain.limits.state import LimitChange, LimitState, Member
from shared.domain.steps.call import Answered, CallOutcome, TokenRefused
from tests.application.lives import ANN, SILENT, START, Life, settings_with, two_steps
from tests.application.runner.limited import (
    ACCOUNT,
    EVERY,
    MINUTE,
    NOW,
    ORIGIN,
    SECOND,
    Scripted,
    far_ahead,
    first_event,
    holding,
    limited,
    state_of,
    waits,
)
from tests.domain.strategy.definitions import changed


@dataclass
class Sleeper(ManualClock):
    """A clock whose sleep a test decides."""

    by: Callable[[ManualClock, float], None] = lambda _, __: None

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.by(self, seconds)


def sleep_by(life: Life, by: Callable[[ManualClock, float], None]) -> None:
    """Let a test decide what happens while the runner of a life sleeps."""
    clock = Sleeper(life.ports.clock.now(), by)
    life.ports.clock = life.shop.clock = clock


class TestAPermit:
    """Each call of a service with a limit takes a permit before it is sent."""

    def test_a_call_under_a_limit_that_is_not_used_up_is_sent_at_once(self) -> None:
        life = Life(limited())

        assert waits(life) == [timedelta()]
        assert state_of(life) == LimitState(
            values={Member.NEXT_AT: NOW + EVERY, Member.PER_SECOND: 200, Member.STATED_AT: NOW}
        )

    def test_each_call_of_a_run_takes_one(self) -> None:
        life = Life(limited(two_steps()))

        assert waits(life) == [timedelta(), timedelta(microseconds=EVERY)]
        assert state_of(life)[Member.NEXT_AT] == NOW + 2 * EVERY

    def test_a_service_without_a_limit_takes_none(self) -> None:
        life = Life(settings_with("/config", None))

        assert life.paths == ["/charges"]
        assert life.ports.limits.states == {}

    def test_a_step_without_a_call_takes_none(self) -> None:
        own = {"key": "charge", "controllerCallback": "{}"}
        life = Life(limited(settings_with("/tasks/0/steps", [own])))

        assert life.first.event.status is EventStatus.PROCESSED
        assert life.ports.limits.states == {}

    def test_a_call_that_cannot_be_built_takes_none(self) -> None:
        life = Life(limited(settings_with("/services/0/methods/0/requestValidation", "cycle > 1")))

        assert life.paths == []
        assert life.ports.limits.states == {}

    def test_the_request_delay_comes_first(self) -> None:
        life = Life(limited(settings_with("/config", {"requestDelayTime": 2000})))

        assert waits(life) == [timedelta(seconds=2)]
        assert state_of(life)[Member.NEXT_AT] == NOW + 2 * SECOND + EVERY

    def test_a_repeat_of_a_call_in_doubt_takes_another_one(self) -> None:
        of = settings_with("/tasks/0/retryConfig", {"times": 1, "jitterPercent": 0})
        retry = {"unit": "seconds", "amount": 30}
        of["tasks"][0]["retryConfig"]["retryAfter"] = retry
        life = Life(limited(of), SILENT, to="2026-01-01T12:01")

        assert len(life.requests) == 2
        assert state_of(life)[Member.NEXT_AT] == NOW + 30 * SECOND + EVERY


class TestAShortWait:
    """For a permit within five seconds the runner waits, under its lease."""

    @pytest.mark.parametrize("ahead", [1, 500_000, 3 * SECOND, 5 * SECOND])
    def test_the_call_is_sent_at_its_permit(self, ahead: int) -> None:
        life = Life(limited(), limits=holding(NEXT_AT=NOW + ahead))

        assert waits(life) == [timedelta(microseconds=ahead)]
        # There was no wait without a runner: the wakeup is the first one.
        assert (life.first.event.wakeup_seq, life.first.event.attempt, life.first.event.run) == (1, 1, 1)

    def test_the_time_of_the_wait_is_not_that_of_the_call(self) -> None:
        reports: list[RunReport] = []
        life = Life(limited(), to="2026-01-01T11:00", limits=holding(NEXT_AT=NOW + 3 * SECOND))
        run_due_events(
            life.ports, life.sid, job="j", time_left=lambda: timedelta(minutes=15), report=reports.append
        )

        (report,) = reports
        assert report.took == timedelta(seconds=3)
        assert [call.took for call in report.calls] == [timedelta()]

    @pytest.mark.parametrize(("seconds", "is_sent"), [(81, True), (80, False)])
    def test_the_invocation_must_have_time_for_the_wait_and_the_call(
        self, seconds: int, is_sent: object
    ) -> None:
        """A call takes up to 60 seconds, and saving needs 20."""
        life = Life(limited(), to="2026-01-01T11:00", limits=holding(NEXT_AT=NOW + SECOND // 2))
        ends = START + timedelta(seconds=seconds)
        run_due_events(life.ports, life.sid, job="j", time_left=lambda: ends - life.ports.clock.now())

        assert bool(life.requests) is is_sent

    def test_the_lease_must_cover_the_wait_and_the_call(self) -> None:
        """The lease covers two steps of 60 seconds and 20 more; the first call takes 77 of them."""
        life = Life(limited(two_steps()), to="2026-01-01T11:00")
        before = life.shop.call

        def slow(request: Any) -> CallOutcome:
            life.ports.clock.sleep(77)
            life.ports.limits.states[ACCOUNT, ORIGIN] = LimitState(
                values={**state_of(life).values, Member.NEXT_AT: NOW + 77 * SECOND + 4 * SECOND}
            )
            return before(request)

        life.shop.call = slow  # type: ignore[method-assign]
        run_due_events(life.ports, life.sid, job="j", time_left=lambda: timedelta(minutes=15))

        # Three seconds could be waited for under the lease, so the event waits without a runner first.
        assert life.first.event.wakeup_seq == 2
        assert len(life.requests) == 2


class TestAPermitThatIsKept:
    """For a permit within fifty seconds the event waits without a lease, and its invocation keeps the permit."""

    @staticmethod
    def queue(ahead: int, **script: Any) -> Callable[[ManualClock], MemoryLimits]:
        """Return a store with a script, whose next permit is some time ahead."""

        def limits(clock: ManualClock) -> MemoryLimits:
            store = Scripted(clock, **script)
            store.states.update(holding(NEXT_AT=NOW + ahead)(clock).states)
            return store

        return limits

    @pytest.mark.parametrize("ahead", [5 * SECOND + 1, 30 * SECOND, 50 * SECOND])
    def test_the_call_takes_no_other_permit(self, ahead: int) -> None:
        life = Life(limited(), limits=self.queue(ahead))

        assert waits(life) == [timedelta(microseconds=ahead)]
        assert (life.first.event.wakeup_seq, life.first.event.attempt, life.first.event.run) == (2, 1, 1)
        assert state_of(life)[Member.NEXT_AT] == NOW + ahead + EVERY
        assert isinstance(life.ports.limits, Scripted)
        assert life.ports.limits.changes == 1

    def test_a_permit_that_is_too_far_ahead_is_not_taken(self) -> None:
        life = Life(limited(), limits=self.queue(50 * SECOND + 1))

        assert state_of(life)[Member.LINE_AT] == NOW + 50 * SECOND + 1 + EVERY
        assert isinstance(life.ports.limits, Scripted)
        assert life.ports.limits.changes == 2

    def test_the_event_waits_without_a_lease_until_a_second_before_it(self) -> None:
        life = Life(limited(), to="2026-01-01T11:00", limits=self.queue(30 * SECOND))
        seen: list[Event] = []

        def sleep(clock: ManualClock, seconds: float) -> None:
            if life.instance.lease is None and seconds > 1:
                seen.append(first_event(life))
            clock.at += timedelta(seconds=seconds)

        sleep_by(life, sleep)
        run_due_events(life.ports, life.sid, job="j", time_left=lambda: timedelta(minutes=15))

        (waiting,) = seen
        assert (waiting.status, waiting.due_at) == (EventStatus.PENDING, START + timedelta(seconds=29))

    def test_a_slow_down_meanwhile_ends_it(self) -> None:
        slowed: dict[str, int] = {
            Member.NEXT_AT: NOW + 30 * SECOND,
            Member.PER_SECOND: 200,
            Member.STATED_AT: NOW,
        }
        slowed[Member.NOT_BEFORE] = NOW + 10 * MINUTE
        life = Life(limited(), limits=self.queue(30 * SECOND, after_changes={1: LimitState(values=slowed)}))

        assert life.requests == []
        life.until("2026-01-01T12:10")
        assert waits(life) == [timedelta(minutes=10)]

    def test_an_event_that_is_claimed_too_late_takes_another_one(self) -> None:
        life = Life(limited(), to="2026-01-01T11:00", limits=self.queue(30 * SECOND))

        def sleep(clock: ManualClock, seconds: float) -> None:
            clock.at += timedelta(seconds=2 * seconds)

        sleep_by(life, sleep)
        run_due_events(life.ports, life.sid, job="j", time_left=lambda: timedelta(minutes=15))

        assert waits(life) == [timedelta(seconds=58)]
        assert isinstance(life.ports.limits, Scripted)
        assert life.ports.limits.changes == 2

    @pytest.mark.parametrize(("seconds", "changes"), [(111, 1), (109, 2)])
    def test_the_invocation_must_have_time_for_it(self, seconds: int, changes: int) -> None:
        """A call takes up to 60 seconds, and saving needs 20."""
        life = Life(limited(), to="2026-01-01T11:00", limits=self.queue(30 * SECOND))
        ends = START + timedelta(seconds=seconds)
        run_due_events(life.ports, life.sid, job="j", time_left=lambda: ends - life.ports.clock.now())

        assert isinstance(life.ports.limits, Scripted)
        if changes == 1:
            assert waits(life) == [timedelta(seconds=30)]
        else:
            assert state_of(life)[Member.LINE_AT] > 0

    def test_another_invocation_takes_its_own(self) -> None:
        life = Life(limited(), to="2026-01-01T11:00", limits=self.queue(30 * SECOND))

        def sleep(clock: ManualClock, seconds: float) -> None:
            clock.at += timedelta(seconds=seconds)
            if seconds > 20:
                run_due_events(life.ports, life.sid, job="k", time_left=lambda: timedelta(minutes=15))

        sleep_by(life, sleep)
        run_due_events(life.ports, life.sid, job="j", time_left=lambda: timedelta(minutes=15))

        assert len(life.requests) == 1
        assert isinstance(life.ports.limits, Scripted)
        assert life.ports.limits.changes == 2


class TestALongWait:
    """For a later permit the event waits without a runner, and uses no attempt."""

    def test_the_event_is_pending_until_shortly_before_its_permit(self) -> None:
        life = Life(limited(), limits=holding(NEXT_AT=NOW + 10 * MINUTE))

        assert life.requests == []
        event = first_event(life)
        assert (event.status, event.attempt, event.run) == (EventStatus.PENDING, 1, 1)
        assert event.due_at == START + timedelta(minutes=10, seconds=-2)
        assert (life.instance.lease, event.in_doubt, event.progress.call_in_doubt) == (None, False, False)
        assert list(life.ports.wakeups.armed.values()) == [(event.due_at, life.sid)]

    def test_the_call_is_sent_in_the_end(self) -> None:
        life = Life(limited(), limits=holding(NEXT_AT=NOW + 10 * MINUTE)).until("2026-01-01T12:10")

        assert waits(life) == [timedelta(minutes=10)]
        assert life.first.event.status is EventStatus.PROCESSED
        assert (life.first.event.attempt, life.first.event.run, life.first.in_doubt) == (1, 1, False)

    def test_the_run_reports_that_it_waits(self) -> None:
        reports: list[RunReport] = []
        life = Life(limited(), to="2026-01-01T11:00", limits=holding(NEXT_AT=NOW + 10 * MINUTE))
        run_due_events(
            life.ports, life.sid, job="j", time_left=lambda: timedelta(minutes=15), report=reports.append
        )

        assert [report.outcome for report in reports] == [RunOutcome.WAITS]
        assert reports[0].calls == ()

    def test_a_wait_of_less_than_a_minute_ends_in_the_same_invocation(self) -> None:
        life = Life(limited(), limits=holding(NEXT_AT=NOW + 30 * SECOND))

        assert waits(life) == [timedelta(seconds=30)]
        assert life.first.event.wakeup_seq == 2

    def test_a_second_step_waits_with_the_first_one_done(self) -> None:
        def busy_later(clock: ManualClock) -> MemoryLimits:
            return Scripted(clock, after_changes={1: LimitState(values=far_ahead())})

        life = Life(limited(two_steps()), limits=busy_later)

        assert life.paths == ["/charges"]
        assert first_event(life).progress.known_visits == 1
        life.until("2026-01-01T12:10")
        assert life.paths == ["/charges", "/refunds"]

    def test_a_pause_keeps_the_call_from_being_sent(self) -> None:
        life = Life(limited(), limits=holding(NEXT_AT=NOW + 10 * MINUTE))
        life.command(Pause(by=ANN)).until("2026-01-01T13:00")

        assert life.requests == []
        life.command(Resume(by=ANN)).until("2026-01-01T13:01")
        assert life.paths == ["/charges"]
        assert life.first.event.attempt == 1

    def test_a_cancel_ends_the_wait(self) -> None:
        life = Life(limited(), limits=holding(NEXT_AT=NOW + 10 * MINUTE))
        life.command(Cancel(by=ANN)).until("2026-01-01T13:00")

        assert life.requests == []
        assert (life.first.event.status, life.first.in_doubt) == (EventStatus.CANCELED, False)

    def test_execute_does_not_skip_a_limit(self) -> None:
        life = Life(limited(), limits=holding(NEXT_AT=NOW + 10 * MINUTE))
        control(life.ports, life.sid, Execute(by=ANN, seq=1))
        life.until("2026-01-01T12:05")

        assert life.requests == []

    def test_a_wait_keeps_a_doubt(self) -> None:
        """A call that may have been sent stays in doubt while its repeat waits for a permit."""
        life = Life(limited(settings_with("/services/0/methods/0/inDoubt", "pause")), SILENT)
        life.ports.limits.states[ACCOUNT, ORIGIN] = LimitState(values=far_ahead())
        control(life.ports, life.sid, Resolve(seq=1, resolution=Resolution.RETRY, by=ANN))
        life.until("2026-01-01T12:01")

        event = first_event(life)
        assert len(life.requests) == 1
        assert (event.status, event.in_doubt, event.progress.call_in_doubt) == (
            EventStatus.PENDING,
            True,
            True,
        )
        life.until("2026-01-01T12:10")
        assert len({request.call_key for request in life.requests}) == 1
        assert len(life.requests) == 2


class TestAPermitThatIsLost:
    """A permit that cannot be used in time is lost, and the runner takes another one."""

    def test_a_slow_store_is_given_more_time(self) -> None:
        """A change takes 100 ms, so the first permit is lost. The second is decided after 300 ms, and 400 ms ahead."""
        life = Life(limited(), limits=lambda clock: Scripted(clock, takes=[0.1]))

        assert waits(life) == [timedelta(milliseconds=700)]
        assert state_of(life)[Member.NEXT_AT] == NOW + 700_000 + EVERY

    def test_a_store_that_just_meets_the_time_loses_none(self) -> None:
        life = Life(limited(), limits=lambda clock: Scripted(clock, takes=[0.001, 0.08]))

        assert waits(life) == [timedelta(milliseconds=81)]
        assert isinstance(life.ports.limits, Scripted)
        assert life.ports.limits.changes == 1

    def test_if_all_are_lost_the_event_waits_without_a_runner(self) -> None:
        """The store takes twice as long each time, so that no permit is reached."""
        slow = [0.1 * 4**number for number in range(2 * MAX_PERMITS)]
        life = Life(limited(), limits=lambda clock: Scripted(clock, takes=[*slow[:6], 0.0]))

        assert life.first.event.status is EventStatus.PROCESSED
        assert life.first.event.wakeup_seq == 2
        assert life.first.event.attempt == 1

    def test_permits_that_come_too_late_again_and_again(self) -> None:
        def limits(clock: ManualClock) -> MemoryLimits:
            store = Scripted(clock)
            real = store.change

            def change(account: AccountId, origin: str, change: LimitChange) -> LimitAttempt:
                attempt = real(account, origin, change)
                if store.changes <= MAX_PERMITS:
                    start = change.sets[Member.NEXT_AT] - EVERY
                    clock.at = START + timedelta(microseconds=start - NOW, milliseconds=81)
                return attempt

            store.change = change  # type: ignore[method-assign]
            return store

        life = Life(limited(), limits=limits)

        assert (life.first.event.wakeup_seq, life.first.event.attempt) == (2, 1)
        assert len(life.requests) == 1

    def test_a_state_that_others_always_change_first_is_a_wait(self) -> None:
        life = Life(limited(), to="2026-01-01T11:00", limits=lambda clock: Scripted(clock, refuses=True))
        run_due_events(life.ports, life.sid, job="j", time_left=lambda: timedelta(minutes=15))

        assert life.requests == []
        assert (first_event(life).status, first_event(life).attempt) == (EventStatus.PENDING, 1)
        assert isinstance(life.ports.limits, Scripted)
        assert life.ports.limits.changes % MAX_RACES == 0

    def test_a_change_that_another_runner_preceded_is_decided_again(self) -> None:
        other = LimitState(
            values={Member.NEXT_AT: NOW + EVERY, Member.PER_SECOND: 200, Member.STATED_AT: NOW}
        )
        life = Life(limited(), limits=lambda clock: Scripted(clock, after_loads={1: other}))

        assert waits(life) == [timedelta(microseconds=EVERY)]
        assert isinstance(life.ports.limits, Scripted)
        assert life.ports.limits.changes == 2

    def test_an_unavailable_store_leaves_no_doubt(self) -> None:
        life = Life(limited(), to="2026-01-01T11:00", limits=lambda clock: Scripted(clock, fails=True))
        reports: list[RunReport] = []
        run_due_events(
            life.ports, life.sid, job="j", time_left=lambda: timedelta(minutes=15), report=reports.append
        )

        assert [report.outcome for report in reports] == [RunOutcome.GIVEN_BACK]
        assert isinstance(life.ports.limits, Scripted)
        life.ports.limits.fails = False
        life.ports.clock.at = START + timedelta(hours=1)
        run_due_events(life.ports, life.sid, job="j", time_left=lambda: timedelta(minutes=15))
        assert len(life.requests) == 1
        assert (life.first.in_doubt, life.first.event.attempt, life.first.event.progress.crashes) == (
            False,
            1,
            0,
        )


class TestASlowDown:
    """A refusal for now with ``Retry-After`` makes all calls of the origin wait."""

    REFUSED = Answered(status=429, retry_after=timedelta(minutes=2))

    @pytest.mark.parametrize(
        ("answer", "seconds"),
        [
            (REFUSED, 120),
            (Answered(status=503, retry_after=timedelta(seconds=30)), 30),
            (Answered(status=503, retry_after=START + timedelta(minutes=3)), 180),
            (Answered(status=429, retry_after=timedelta(hours=5)), 900),
            (Answered(status=429), None),
            (Answered(status=429, retry_after=timedelta()), None),
            (Answered(status=425, retry_after=timedelta(minutes=2)), None),
            (Answered(status=402, retry_after=timedelta(minutes=2)), None),
            (Answered(status=201, retry_after=timedelta(minutes=2)), None),
            (TokenRefused(why="busy", retry_after=timedelta(minutes=2)), None),
            (SILENT, None),
        ],
    )
    def test_a_refusal_is_shared(self, answer: CallOutcome, seconds: int | None) -> None:
        life = Life(limited(), answer)

        until = 0 if seconds is None else NOW + seconds * SECOND
        assert state_of(life)[Member.NOT_BEFORE] == until

    def test_a_service_without_a_limit_shares_nothing(self) -> None:
        life = Life(settings_with("/config", None), self.REFUSED)

        assert life.ports.limits.states == {}

    def test_a_limit_without_a_rate_shares_it(self) -> None:
        life = Life(unlimited(), self.REFUSED)

        assert state_of(life) == LimitState(values={Member.NOT_BEFORE: NOW + 120 * SECOND})

    def test_a_status_that_the_flow_handles_is_not_shared(self) -> None:
        of = settings_with("/services/0/methods/0/definiteStatuses", [429])
        life = Life(limited(of), self.REFUSED)

        assert state_of(life)[Member.NOT_BEFORE] == 0

    def test_a_step_without_a_call_has_nothing_to_share(self) -> None:
        life = Life(limited(settings_with("/tasks/0/steps", [{"key": "charge", "controllerCallback": "{}"}])))

        assert life.ports.limits.states == {}

    @pytest.mark.parametrize("rate", [{"PER_SECOND": 200}, {"PER_SECOND": 0}])
    def test_other_events_wait_for_its_end(self, rate: dict[str, int]) -> None:
        of = limited() if rate["PER_SECOND"] else unlimited()
        life = Life(of, limits=holding(NOT_BEFORE=NOW + 3 * SECOND, **rate))
        assert waits(life) == [timedelta(seconds=3)]

        far = Life(of, limits=holding(NOT_BEFORE=NOW + 10 * MINUTE, **rate))
        assert far.requests == []
        assert first_event(far).status is EventStatus.PENDING
        assert timedelta(minutes=9) < first_event(far).due_at - START < timedelta(minutes=11)
        far.until("2026-01-01T12:11")
        assert len(far.requests) == 1
        assert waits(far)[0] >= timedelta(minutes=10)

    def test_a_runner_that_sleeps_for_its_permit_learns_of_it(self) -> None:
        slowed = LimitState(
            values={
                Member.NEXT_AT: NOW + 3 * SECOND,
                Member.PER_SECOND: 200,
                Member.STATED_AT: NOW,
                Member.NOT_BEFORE: NOW + 10 * MINUTE,
            }
        )

        def limits(clock: ManualClock) -> MemoryLimits:
            store = Scripted(clock, after_changes={1: slowed})
            store.states[ACCOUNT, ORIGIN] = LimitState(values={**slowed.values, Member.NOT_BEFORE: 0})
            return store

        life = Life(limited(), limits=limits)

        assert life.requests == []
        assert first_event(life).due_at > START + timedelta(minutes=9)

    def test_a_sleep_of_less_than_a_second_is_not_checked(self) -> None:
        for ahead, loads in ((SECOND - 1, 1), (SECOND, 2)):

            def limits(clock: ManualClock, ahead: int = ahead) -> MemoryLimits:
                store = Scripted(clock)
                store.states.update(holding(NEXT_AT=NOW + ahead)(clock).states)
                return store

            life = Life(limited(), limits=limits)

            assert isinstance(life.ports.limits, Scripted)
            assert (life.ports.limits.loads, waits(life)) == (loads, [timedelta(microseconds=ahead)])


def unlimited() -> dict[str, Any]:
    """Return settings whose first service has a limit without a rate."""
    return changed("/services/0/limit", {}, of=settings_with("/config", None))


class TestExplanations:
    """``explain`` says which limit an event waits for."""

    def test_an_event_that_waits_for_a_limit(self) -> None:
        life = Life(limited(), limits=holding(NEXT_AT=NOW + 10 * MINUTE))

        finding = explain_at(life.ports, life.instance).finding

        assert finding.reason is Reason.WAITING_FOR_LIMIT
        assert finding.since == START
        assert finding.until == START + timedelta(minutes=10, seconds=-2)
        assert finding.why == f"the limit of {ORIGIN} (200 a second)"

    def test_an_event_that_waits_for_the_end_of_a_slow_down(self) -> None:
        life = Life(unlimited(), limits=holding(NOT_BEFORE=NOW + 10 * MINUTE, PER_SECOND=0))

        finding = explain_at(life.ports, life.instance).finding

        assert (finding.reason, finding.why) == (
            Reason.WAITING_FOR_LIMIT,
            f"{ORIGIN} has asked all callers to wait",
        )

    def test_an_event_at_its_second_step(self) -> None:
        life = Life(
            limited(two_steps()),
            limits=lambda clock: Scripted(clock, after_changes={1: LimitState(values=far_ahead())}),
        )

        assert explain_at(life.ports, life.instance).finding.reason is Reason.WAITING_FOR_LIMIT

    def test_an_event_that_waits_for_something_else(self) -> None:
        delayed = two_steps()
        delayed["tasks"][0]["steps"][1]["delay"] = {"unit": "minutes", "amount": 5}
        retry = settings_with(
            "/tasks/0/retryConfig", {"times": 1, "retryAfter": {"unit": "hours", "amount": 1}}
        )

        for of, answers, reason in (
            (limited(delayed), [], Reason.WAITING_FOR_DELAY),
            (limited(), [TestASlowDown.REFUSED], Reason.WAITING_FOR_SERVICE),
            (limited(retry), [Answered(status=402)], Reason.WAITING_FOR_RETRY),
        ):
            life = Life(of, *answers)
            assert explain_at(life.ports, life.instance).finding.reason is reason

    def test_an_event_whose_settings_cannot_be_read(self) -> None:
        life = Life(limited(), limits=holding(NEXT_AT=NOW + 10 * MINUTE))
        life.ports.strategies.strategies.clear()

        assert explain_at(life.ports, life.instance).finding.reason is Reason.NOT_YET_DUE

    def test_an_event_whose_service_has_no_limit(self) -> None:
        """Nothing else makes an event wait inside its run, so this is another strategy's doing."""
        life = Life(limited(), limits=holding(NEXT_AT=NOW + 10 * MINUTE))
        (key, strategy), *_ = life.ports.strategies.strategies.items()
        plain = Life(settings_with("/config", None)).ports.strategies.strategies[key]
        life.ports.strategies.strategies[key] = plain

        assert strategy != plain
        assert explain_at(life.ports, life.instance).finding.reason is Reason.NOT_YET_DUE
