"""An instance with its own schedule. Source: docs/contracts/mapping.md D.5; docs/contracts/process.md C.5."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import PlanExpired, next_action
from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import Instance, InstanceStatus, Origin
from shared.domain.instance.run import Ending, Failure, StepError
from shared.domain.instance.verdict import Actor, Applied, Refused
from shared.domain.lifecycle.commands import Cancel, Execute, Finish, Pause, Resume
from shared.domain.lifecycle.conclude import apply_run_end
from shared.domain.lifecycle.decide import decide
from shared.domain.planning.forecast import forecast
from shared.domain.planning.start import NewInstance, start
from shared.domain.strategy.model import OnResume
from tests.factories import an_end, changed, hours, settings, step, strategy_from, task

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""A Monday."""
BY = Actor(name="key")
DAY = timedelta(days=1)
STRATEGY = strategy_from(
    settings(
        task("charge", step("pay")),
        task("remind", step("write")),
        schedule={
            "calendars": [
                {
                    "key": "monthly",
                    "task": "charge",
                    "scheduleAfter": {"unit": "months", "amount": 1},
                    "leadingUpTasks": [{"task": "remind", "scheduleBefore": hours(2)}],
                }
            ]
        },
    )
)
MAX_ATTEMPTS = an_end(
    how=Ending.EXHAUSTED,
    failure=Failure(step="pay", failed_at=NOW, error=StepError(message="declined")),
)


def at(day: int, hour: int = 9) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def started(schedule: OwnSchedule, **members: Any) -> Instance:
    new = NewInstance(
        sid=InstanceSid("i"),
        origin=Origin(strategy_id="s"),
        shard=0,
        attributes={},
        schedule=schedule,
        **members,
    )
    return start(STRATEGY, new, now=NOW).instance


def events_of(instance: Instance) -> list[tuple[str, datetime]]:
    return [(event.task, event.date) for event in instance.events]


def after_its_run(instance: Instance, *, now: datetime | None = None, **end: Any) -> Instance:
    """Return the instance after its main event has run."""
    main = instance.main_event
    assert main is not None
    running = changed(main, status=EventStatus.EXECUTING, begun_at=main.date)
    held = instance.with_event(running)
    return apply_run_end(STRATEGY, held, running, an_end(**end), now=now or main.date).instance


class TestOnce:
    """The task of cycle 1 runs once, at the start date; then the instance is COMPLETED."""

    def test_a_single_run_has_no_leading_up_events(self) -> None:
        instance = started(OwnSchedule(), start_date=at(9))

        assert events_of(instance) == [("charge", at(9))]

    def test_a_single_run_completes_the_instance(self) -> None:
        after = after_its_run(started(OwnSchedule()))

        assert (after.status, after.events) == (InstanceStatus.COMPLETED, ())

    def test_a_single_run_without_attempts_left_cancels_the_instance(self) -> None:
        after = after_its_run(started(OwnSchedule()), how=MAX_ATTEMPTS.how, failure=MAX_ATTEMPTS.failure)

        assert (after.status, after.cancel_reason) == (InstanceStatus.CANCELED, "MAX_ATTEMPTS")

    def test_a_single_run_by_cron_is_at_the_first_fire(self) -> None:
        schedule = OwnSchedule(cron="0 0 9 ? * FRI", once=True)

        instance = started(schedule, start_date=at(4))

        assert events_of(instance) == [("charge", at(6))]
        assert after_its_run(instance).status is InstanceStatus.COMPLETED

    def test_a_single_run_is_not_before_opens_at(self) -> None:
        instance = started(OwnSchedule(opens_at=at(9)), start_date=at(4))

        assert events_of(instance) == [("charge", at(9))]

    def test_a_single_run_after_the_end_date_does_not_run(self) -> None:
        instance = started(OwnSchedule(opens_at=NOW), start_date=NOW - DAY, end_date=NOW - DAY)

        assert (instance.status, instance.events) == (InstanceStatus.COMPLETED, ())


class TestOnCall:
    """The event is on hold, without a date, until an operator runs it."""

    def test_an_event_on_call_is_onhold(self) -> None:
        (event,) = started(OwnSchedule(on_call=True)).events

        assert event.status is EventStatus.ONHOLD

    def test_an_executed_event_on_call_completes_the_instance(self) -> None:
        waiting = started(OwnSchedule(on_call=True))

        verdict = decide(STRATEGY, waiting, Execute(seq=1, by=BY), now=at(3))

        assert isinstance(verdict, Applied)
        assert verdict.instance.events[0].status is EventStatus.QUEUED
        assert after_its_run(verdict.instance).status is InstanceStatus.COMPLETED


class TestByExpression:
    """Every fire of the expression within the window, in the schedule's own zone."""

    FRIDAYS = OwnSchedule(cron="0 0 9 ? * FRI")

    def test_every_fire_runs_with_its_leading_up_events(self) -> None:
        instance = started(self.FRIDAYS)

        assert events_of(instance) == [("remind", at(6, 7)), ("charge", at(6))]
        assert events_of(after_its_run(instance)) == [("remind", at(13, 7)), ("charge", at(13))]

    def test_fires_at_both_ends_of_the_window_count(self) -> None:
        instance = started(self.FRIDAYS, start_date=at(6), end_date=at(13))

        assert instance.events[-1].date == at(6)
        second = after_its_run(instance)
        assert second.events[-1].date == at(13)
        assert after_its_run(second).status is InstanceStatus.COMPLETED

    def test_fires_are_in_the_schedules_own_zone(self) -> None:
        instance = started(replace(self.FRIDAYS, timezone="Europe/Istanbul"))

        assert instance.events[-1].date == at(6, 6)

    def test_a_run_at_once_is_followed_by_the_fires_of_the_window(self) -> None:
        schedule = replace(self.FRIDAYS, at_once=True, opens_at=at(10))

        instance = started(schedule)

        assert instance.events[-1].date == NOW
        assert after_its_run(instance).events[-1].date == at(13)

    def test_a_fire_at_opens_at_counts(self) -> None:
        schedule = replace(self.FRIDAYS, at_once=True, opens_at=at(13))

        assert after_its_run(started(schedule)).events[-1].date == at(13)

    def test_the_forecast_has_the_dates_that_run(self) -> None:
        instance = started(self.FRIDAYS, end_date=at(20))

        foreseen = forecast(STRATEGY, instance, cycles=9, now=NOW).cycles

        assert [one.main.date for one in foreseen] == [at(6), at(13), at(20)]

    def test_a_cron_schedule_cannot_be_shifted(self) -> None:
        paused = decide(STRATEGY, started(self.FRIDAYS), Pause(by=BY), now=NOW)
        assert isinstance(paused, Applied)

        resumed = decide(STRATEGY, paused.instance, Resume(by=BY, on_late=OnResume.SHIFT), now=at(9))

        assert isinstance(resumed, Refused)


class TestAWindowWithoutAFire:
    """ "If no fire is left, the instance is COMPLETED at `endDate`, or at once without one"."""

    NEVER = OwnSchedule(cron="0 6 6 ? * FRI")

    def test_an_instance_without_a_fire_is_active_until_its_end_date(self) -> None:
        instance = started(self.NEVER, end_date=at(4))

        assert (instance.status, instance.events) == (InstanceStatus.ACTIVE, ())
        assert not isinstance(next_action(instance, at(4) - timedelta(seconds=1)), PlanExpired)

    def test_an_instance_without_a_fire_is_completed_at_its_end_date(self) -> None:
        instance = started(self.NEVER, end_date=at(4))

        assert isinstance(next_action(instance, at(4)), PlanExpired)
        verdict = decide(STRATEGY, instance, Finish(), now=at(4))
        assert isinstance(verdict, Applied)
        assert verdict.instance.status is InstanceStatus.COMPLETED

    def test_an_instance_without_a_fire_can_be_canceled(self) -> None:
        verdict = decide(STRATEGY, started(self.NEVER, end_date=at(4)), Cancel(by=BY), now=NOW)

        assert isinstance(verdict, Applied)
        assert verdict.instance.status is InstanceStatus.CANCELED

    def test_an_instance_without_a_fire_and_end_date_is_completed_at_once(self) -> None:
        assert started(OwnSchedule(cron="0 0 9 30 2 ?")).status is InstanceStatus.COMPLETED

    def test_a_single_run_without_a_fire_is_active_until_its_end_date(self) -> None:
        instance = started(replace(self.NEVER, once=True), end_date=at(4))

        assert instance.status is InstanceStatus.ACTIVE
        verdict = decide(STRATEGY, instance, Finish(), now=at(4))
        assert isinstance(verdict, Applied)
        assert verdict.instance.status is InstanceStatus.COMPLETED

    def test_a_single_run_that_has_run_is_completed_before_its_end_date(self) -> None:
        instance = started(replace(self.NEVER, once=True), end_date=at(20))

        assert after_its_run(instance).status is InstanceStatus.COMPLETED

    def test_an_instance_after_its_last_fire_is_active_until_its_end_date(self) -> None:
        instance = after_its_run(started(self.NEVER, end_date=at(8)))

        assert (instance.status, instance.events) == (InstanceStatus.ACTIVE, ())


class TestGoingOn:
    """With ``goes_on``, a run without attempts left fails and the next one is planned."""

    def test_the_next_fire_is_planned_after_a_failure(self) -> None:
        instance = started(OwnSchedule(cron="0 0 9 ? * FRI", goes_on=True))

        after = after_its_run(instance, how=MAX_ATTEMPTS.how, failure=MAX_ATTEMPTS.failure)

        assert after.status is InstanceStatus.ACTIVE
        assert events_of(after) == [("remind", at(13, 7)), ("charge", at(13))]
