from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.calendar.dates import DATE_FORMS, ResetTo, Unit
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import Failure, StepError
from shared.domain.instance.scope import scope
from shared.domain.steps.retry import NO_RETRY, FailedStep, delay_of, failure, policy_of
from shared.domain.strategy.model import Delta, RetryConfig
from tests.factories import HOUR, NOON, a_definition, a_step, a_strategy, a_task, an_event, an_instance

ERROR = StepError(message="shop/charge returned HTTP 503", kind=ErrorKind.HTTP, status=503)
MADRID = a_strategy(definition=a_definition(timezone="Europe/Madrid"))


def hours(amount: int, **members: Any) -> Delta:
    return Delta(unit=Unit.HOURS, amount=amount, **members)


def days(amount: int, **members: Any) -> Delta:
    return Delta(unit=Unit.DAYS, amount=amount, **members)


def decided(
    policy: RetryConfig, *, attempt: int = 1, instance: Instance | None = None, now: datetime = NOON
) -> tuple[Failure, str | None]:
    instance, event = instance or an_instance(), an_event(attempt=attempt)
    variables = scope(MADRID, instance, now=now, event=event)
    failed = FailedStep(step=a_step(), error=ERROR, attempt=attempt)
    return failure(MADRID, instance, event, policy, failed, variables=variables, now=now)


def retry_at(policy: RetryConfig, **members: Any) -> datetime | None:
    return decided(policy, **members)[0].retry_at


class TestPolicy:
    """The step's own retry configuration applies, else its task's, else there is no retry."""

    OF_STEP = RetryConfig(times=1, retry_after=hours(1))
    OF_TASK = RetryConfig(times=2, retry_after=hours(2))

    def test_the_policy_of_the_step_wins(self) -> None:
        own = a_step(retry_config=self.OF_STEP)

        assert policy_of(an_instance(), a_task(own, retry_config=self.OF_TASK), own) == self.OF_STEP

    def test_the_policy_of_the_task_applies_otherwise(self) -> None:
        assert policy_of(an_instance(), a_task(retry_config=self.OF_TASK), a_step()) == self.OF_TASK

    def test_no_policy_means_no_retry(self) -> None:
        assert policy_of(an_instance(), a_task(), a_step()) == NO_RETRY
        assert delay_of(NO_RETRY, 1) is None

    def test_an_own_schedule_sets_the_number_of_retries_and_the_strategy_the_delay(self) -> None:
        instance = an_instance(schedule=OwnSchedule(retry_times=5))

        policy = policy_of(instance, a_task(retry_config=self.OF_TASK), a_step())

        assert (policy.times, policy.retry_after) == (5, hours(2))

    def test_a_retry_without_a_delay_follows_at_once(self) -> None:
        instance = an_instance(schedule=OwnSchedule(retry_times=1))

        assert retry_at(policy_of(instance, a_task(), a_step())) == NOON

    def test_the_last_delay_of_a_list_continues(self) -> None:
        steps = RetryConfig(times=2, retry_strategy=(hours(1), hours(3)))
        instance = an_instance(schedule=OwnSchedule(retry_times=5))

        policy = policy_of(instance, a_task(retry_config=steps), a_step())

        assert [delay_of(policy, attempt) for attempt in (1, 2, 5, 6)] == [hours(1), hours(3), hours(3), None]

    def test_a_schedule_with_goes_on_does_not_pause(self) -> None:
        pausing = RetryConfig(times=0, pause_before_cancel=True)
        going_on = an_instance(schedule=OwnSchedule(cron="0 0 9 * * ?", goes_on=True))

        assert not policy_of(going_on, a_task(retry_config=pausing), a_step()).pause_before_cancel


class TestDelay:
    """The k-th retry waits retryEventCallback's delay, else retryStrategy[k-1], else retryAfter; then None."""

    def test_two_times_one_hour_is_three_runs(self) -> None:
        policy = RetryConfig(times=2, retry_after=hours(1))

        assert [delay_of(policy, attempt) for attempt in (1, 2, 3, 4)] == [hours(1), hours(1), None, None]

    def test_the_strategy_wins_over_the_fixed_delay(self) -> None:
        policy = RetryConfig(times=3, retry_after=hours(12), retry_strategy=(hours(1), hours(2)))

        assert [delay_of(policy, attempt) for attempt in (1, 2, 3, 4)] == [
            hours(1),
            hours(2),
            hours(12),
            None,
        ]

    def test_a_callback_wins_over_the_strategy(self) -> None:
        request = hours(12, retry_event_callback='{"amount": 1}')
        policy = RetryConfig(times=2, retry_after=request, retry_strategy=(hours(1), hours(2)))

        assert [delay_of(policy, attempt) for attempt in (1, 2, 3)] == [request, request, None]


class TestFailure:
    """ "Never before the failure"; counted from the failure, so that retries "never move the plan"."""

    def test_a_retry_counts_from_the_failure(self) -> None:
        late = NOON + timedelta(minutes=17)

        assert decided(RetryConfig(times=2, retry_after=hours(1)), now=late) == (
            Failure(step="only", failed_at=late, error=ERROR, retry_at=late + HOUR),
            None,
        )

    def test_used_up_attempts_have_no_date(self) -> None:
        assert decided(RetryConfig(times=2, retry_after=hours(1)), attempt=3) == (
            Failure(step="only", failed_at=NOON, error=ERROR),
            None,
        )

    def test_used_up_attempts_pause_under_pause_before_cancel(self) -> None:
        used_up, _ = decided(RetryConfig(times=0, pause_before_cancel=True))

        assert used_up == Failure(step="only", failed_at=NOON, error=ERROR, pauses=True)

    def test_a_failure_with_attempts_left_does_not_pause(self) -> None:
        failed, _ = decided(RetryConfig(times=1, retry_after=hours(1), pause_before_cancel=True))

        assert failed.pauses is False

    @pytest.mark.parametrize("status", [InstanceStatus.CANCELED, InstanceStatus.COMPLETED])
    def test_an_event_of_a_final_instance_does_not_pause(self, status: InstanceStatus) -> None:
        final = an_instance(status=status)

        assert decided(RetryConfig(times=0, pause_before_cancel=True), instance=final)[0].pauses is False


class TestDate:
    """The date is computed in the strategy's zone, with from and resetTo. It is never before the failure."""

    def test_days_keep_the_time_of_day(self) -> None:
        before_summer_time = datetime(2026, 3, 28, 10, tzinfo=UTC)

        assert retry_at(RetryConfig(times=1, retry_after=days(1)), now=before_summer_time) == datetime(
            2026, 3, 29, 9, tzinfo=UTC
        )

    def test_reset_to_sets_an_hour_of_the_zone(self) -> None:
        policy = RetryConfig(times=1, retry_after=days(1, reset_to=ResetTo(hour=9, minute=0)))

        assert retry_at(policy) == datetime(2026, 2, 1, 8, tzinfo=UTC)

    def test_a_date_that_has_passed_becomes_now(self) -> None:
        policy = RetryConfig(times=1, retry_after=days(0, reset_to=ResetTo(hour=9)))

        assert retry_at(policy) == NOON

    def test_a_retry_can_count_from_an_attribute(self) -> None:
        policy = RetryConfig(times=1, retry_after=days(2, from_attribute="payday"))
        paid = an_instance(attributes={"payday": "2026-02-05T09:00:00Z"})

        assert decided(policy, instance=paid) == (
            Failure(step="only", failed_at=NOON, error=ERROR, retry_at=datetime(2026, 2, 7, 9, tzinfo=UTC)),
            None,
        )

    def test_an_attribute_without_a_date_counts_as_now_and_gets_a_note(self) -> None:
        failed, note = decided(RetryConfig(times=1, retry_after=days(2, from_attribute="payday")))

        assert failed.retry_at == NOON + timedelta(days=2)
        assert note == f"from: attribute 'payday' is not {DATE_FORMS}"

    def test_attempts_are_used_up_if_no_date_is_possible(self) -> None:
        policy = RetryConfig(
            times=1, retry_after=Delta(unit=Unit.YEARS, amount=9999), pause_before_cancel=True
        )
        failed, note = decided(policy)

        assert (failed.retry_at, failed.pauses) == (None, True)
        assert note is not None
        assert note.startswith("9999 years: ")


class TestCallback:
    """retryEventCallback supplies unit and amount. If it fails, the delta's own apply, with a note."""

    def policy(self, callback: str) -> RetryConfig:
        return RetryConfig(times=5, retry_after=hours(3, retry_event_callback=callback))

    def test_a_callback_sees_the_failed_attempt(self) -> None:
        policy = self.policy('{"unit": "minutes", "amount": 30 * attempt}')

        assert [retry_at(policy, attempt=attempt) for attempt in (1, 2)] == [
            NOON + timedelta(minutes=30),
            NOON + timedelta(minutes=60),
        ]

    def test_a_failing_callback_leaves_the_delta(self) -> None:
        failed, note = decided(self.policy('{"amount": attributes.missing}'))

        assert failed.retry_at == NOON + 3 * HOUR
        assert note is not None
        assert note.startswith("retryEventCallback: ")

    def test_a_callback_beyond_every_date_leaves_the_delta(self) -> None:
        failed, note = decided(self.policy('{"unit": "years", "amount": 9999}'))

        assert failed.retry_at == NOON + 3 * HOUR
        assert note is not None
        assert note.startswith("9999 years: ")


class TestJitter:
    """ "Only ever added; derived from sid and run; none with ``resetTo``": a burst does not come back as a burst."""

    def policy(self, percent: int, **delay: Any) -> RetryConfig:
        return RetryConfig(times=9, retry_after=hours(10, **delay), jitter_percent=percent)

    def dates(self, policy: RetryConfig, *, runs: int = 1) -> list[datetime]:
        """Return the dates of the retries of 100 instances."""
        found = []
        for number in range(100):
            instance = an_instance(sid=f"i{number}")
            for run in range(1, runs + 1):
                event = an_event(run=run)
                variables = scope(MADRID, instance, now=NOON, event=event)
                failed = FailedStep(step=a_step(), error=ERROR, attempt=1)
                decision, _ = failure(MADRID, instance, event, policy, failed, variables=variables, now=NOON)
                assert decision.retry_at is not None
                found.append(decision.retry_at)
        return found

    def test_zero_percent_is_exact(self) -> None:
        assert set(self.dates(self.policy(0))) == {NOON + 10 * HOUR}

    @pytest.mark.parametrize(("percent", "most"), [(1, 10.1), (10, 11), (100, 20)])
    def test_it_is_only_added_and_up_to_its_share(self, percent: int, most: float) -> None:
        dates = self.dates(self.policy(percent))

        assert min(dates) >= NOON + 10 * HOUR
        assert max(dates) < NOON + most * HOUR

    def test_instances_and_runs_spread_evenly(self) -> None:
        dates = self.dates(self.policy(10), runs=2)

        assert len(set(dates)) == 200
        in_the_first_half = sum(date < NOON + 10.5 * HOUR for date in dates)
        assert 70 < in_the_first_half < 130

    def test_a_decision_that_is_repeated_is_the_same(self) -> None:
        assert self.dates(self.policy(10)) == self.dates(self.policy(10))

    def test_it_has_whole_milliseconds(self) -> None:
        assert all(date.microsecond % 1000 == 0 for date in self.dates(self.policy(7)))

    def test_a_date_that_was_reset_is_exact(self) -> None:
        assert len(set(self.dates(self.policy(10, reset_to=ResetTo(hour=9))))) == 1

    def test_a_callback_may_reset_the_date(self) -> None:
        resetting = '{"unit": "days", "amount": 1, "resetTo": {"hour": 9, "minute": 0}}'
        plain = '{"unit": "days", "amount": 1}'

        assert len(set(self.dates(self.policy(10, retry_event_callback=resetting)))) == 1
        assert len(set(self.dates(self.policy(10, retry_event_callback=plain)))) == 100

    def test_a_callback_may_take_the_reset_away(self) -> None:
        policy = self.policy(10, reset_to=ResetTo(hour=9), retry_event_callback='{"resetTo": {}}')

        assert len(set(self.dates(policy))) == 100

    def test_the_last_date_of_the_calendar_is_not_exceeded(self) -> None:
        far = Delta(unit=Unit.YEARS, amount=9999 - 2026)
        policy = RetryConfig(times=1, retry_after=far, jitter_percent=100)

        assert set(self.dates(policy)) == {datetime(9999, 1, 31, 12, tzinfo=UTC)}

    def test_a_retry_at_once_stays_at_once(self) -> None:
        policy = RetryConfig(times=1, retry_after=hours(0), jitter_percent=100)

        assert set(self.dates(policy)) == {NOON}


class TestEarliest:
    """A retry after a refusal is not due before the service wants to be called again."""

    @pytest.mark.parametrize(
        ("earliest", "expected"),
        [
            (None, NOON + HOUR),
            (NOON - HOUR, NOON + HOUR),
            (NOON + HOUR, NOON + HOUR),
            (NOON + 3 * HOUR, NOON + 3 * HOUR),
        ],
    )
    def test_the_later_of_both_counts(self, earliest: datetime | None, expected: datetime) -> None:
        policy, instance, event = RetryConfig(times=1, retry_after=hours(1)), an_instance(), an_event()
        failed = FailedStep(step=a_step(), error=ERROR, attempt=1, earliest=earliest)
        variables = scope(MADRID, instance, now=NOON, event=event)

        found, _ = failure(MADRID, instance, event, policy, failed, variables=variables, now=NOON)

        assert found.retry_at == expected
