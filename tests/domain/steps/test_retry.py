from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.calendar.dates import DATE_FORMS, ResetTo, Unit
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.instance.journal import StepResult
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
    found, notes = failure(MADRID, instance, event, policy, failed, variables=variables, now=now)
    return found, "; ".join(notes) or None


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
            Failure(
                step="only",
                failed_at=late,
                error=ERROR,
                retry_at=late + HOUR,
                attempts_left=2,
                next_at=late + HOUR,
            ),
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

        failed, note = decided(policy, instance=paid)

        assert (failed.retry_at, note) == (datetime(2026, 2, 7, 9, tzinfo=UTC), None)

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


class TestAttemptsLeft:
    """Before a retry, so many attempts are left, with that one. None are left once they are used up."""

    @pytest.mark.parametrize(("attempt", "left"), [(1, 3), (2, 2), (3, 1), (4, 0)])
    def test_they_count_down_to_zero(self, attempt: int, left: int) -> None:
        failed, _ = decided(RetryConfig(times=3, retry_after=hours(1)), attempt=attempt)

        assert failed.attempts_left == left
        assert (failed.retry_at is None) == (left == 0)

    def test_the_number_of_an_own_schedule_counts(self) -> None:
        instance = an_instance(schedule=OwnSchedule(retry_times=5))
        task = a_task(retry_config=RetryConfig(times=1, retry_after=hours(1)))
        policy = policy_of(instance, task, a_step())

        assert decided(policy, instance=instance)[0].attempts_left == 5


class TestNextAt:
    """The instance next acts at the retry, or at another event before it. An instance that pauses does not."""

    POLICY = RetryConfig(times=1, retry_after=hours(2), pause_before_cancel=True)

    @pytest.mark.parametrize(("due", "expected"), [(1, 1), (2, 2), (3, 2)])
    def test_the_earlier_of_retry_and_other_event_counts(self, due: int, expected: int) -> None:
        other = an_event(2, due_at=NOON + due * HOUR)

        assert (
            decided(self.POLICY, instance=an_instance(an_event(), other))[0].next_at == NOON + expected * HOUR
        )

    def test_the_failed_event_itself_does_not_count(self) -> None:
        assert decided(self.POLICY, instance=an_instance(an_event(due_at=NOON)))[0].next_at == NOON + 2 * HOUR

    def test_there_is_none_before_a_pause(self) -> None:
        other = an_event(2, due_at=NOON + HOUR)
        failed, _ = decided(self.POLICY, attempt=2, instance=an_instance(an_event(), other))

        assert (failed.pauses, failed.next_at) == (True, None)


class TestStopIf:
    """``stopIf`` is asked about a definite failure. If it is true, the attempts are used up."""

    HARD = "response.code == 'lost_card'"

    def evaluated(
        self, result: StepResult | None, source: str = HARD, *, attempt: int = 1, pause: bool = False
    ) -> tuple[Failure, tuple[str, ...]]:
        policy = RetryConfig(times=2, retry_after=hours(1), stop_if=source, pause_before_cancel=pause)
        event = an_event(attempt=attempt)
        stack = {} if result is None else {"only": result}
        variables = scope(MADRID, an_instance(), now=NOON, event=event, stack=stack)
        failed = FailedStep(step=a_step(), error=ERROR, attempt=attempt, result=result)
        return failure(MADRID, an_instance(), event, policy, failed, variables=variables, now=NOON)

    def declined(self, data: Any, **members: Any) -> StepResult:
        error = StepError(message="HTTP 402", kind=ErrorKind.HTTP, status=402, data=data)
        return StepResult(success=False, error=error, **members)

    @pytest.mark.parametrize("pause", [False, True])
    def test_a_hard_decline_uses_up_the_attempts(self, pause: bool) -> None:  # noqa: FBT001 - a case
        failed, notes = self.evaluated(self.declined({"code": "lost_card"}), pause=pause)

        assert failed == Failure(
            step="only",
            failed_at=NOON,
            error=replace(ERROR, message="shop/charge returned HTTP 503 (retries stopped by stopIf)"),
            pauses=pause,
        )
        assert failed.error.error_class == "http-503"
        assert notes == ("retries stopped by stopIf",)

    def test_a_soft_decline_is_retried(self) -> None:
        failed, notes = self.evaluated(self.declined({"code": "insufficient_funds"}))

        assert (failed.retry_at, failed.error, notes) == (NOON + HOUR, ERROR, ())

    def test_a_call_in_doubt_is_no_hard_decline(self) -> None:
        failed, notes = self.evaluated(self.declined({"code": "lost_card"}, in_doubt=True), source="true")

        assert (failed.retry_at, notes) == (NOON + HOUR, ())

    def test_a_step_that_was_not_executed_has_no_answer(self) -> None:
        assert self.evaluated(None, source="true")[0].retry_at == NOON + HOUR

    def test_a_success_with_a_broken_rule_is_no_decline(self) -> None:
        broken = StepResult(success=True, response={"code": "lost_card"}, error=StepError(message="rule"))

        assert self.evaluated(broken, source="true")[0].retry_at == NOON + HOUR

    def test_the_answer_is_the_response_if_a_controller_failed_the_step(self) -> None:
        error = StepError(message="declined", kind=ErrorKind.CONTROLLER)
        result = StepResult(success=False, response={"code": "lost_card"}, error=error)

        assert self.evaluated(result)[0].retry_at is None

    def test_an_empty_body_of_an_error_is_a_body(self) -> None:
        result = self.declined("", response={"code": "lost_card"})

        assert self.evaluated(result, source="response == ''")[0].retry_at is None

    def test_the_status_is_on_the_stack(self) -> None:
        result = self.declined(None)

        assert self.evaluated(result, source="stack.only.error.status == 402")[0].retry_at is None
        assert self.evaluated(result, source="stack.only.error.status == 400")[0].retry_at == NOON + HOUR

    def test_the_answer_is_null_without_one(self) -> None:
        unreachable = StepResult(
            success=False, error=StepError(message="no token", kind=ErrorKind.UNREACHABLE)
        )

        assert self.evaluated(unreachable, source="response == null")[0].retry_at is None

    @pytest.mark.parametrize("source", [HARD, "response"])
    def test_the_retries_go_on_if_it_cannot_be_evaluated(self, source: str) -> None:
        failed, notes = self.evaluated(self.declined({"other": 1}), source=source)

        assert failed.retry_at == NOON + HOUR
        (note,) = notes
        assert note.startswith("stopIf of only: ")

    def test_it_is_not_evaluated_after_the_last_attempt(self) -> None:
        failed, notes = self.evaluated(self.declined({"code": "lost_card"}), attempt=3)

        assert (failed.retry_at, failed.error, notes) == (None, ERROR, ())

    def test_a_long_message_keeps_the_note(self) -> None:
        policy = RetryConfig(times=2, retry_after=hours(1), stop_if="true")
        long = replace(ERROR, message="x" * 2000)
        failed = FailedStep(step=a_step(), error=long, attempt=1, result=self.declined(None))
        variables = scope(MADRID, an_instance(), now=NOON, event=an_event())
        found, _ = failure(MADRID, an_instance(), an_event(), policy, failed, variables=variables, now=NOON)

        assert len(found.error.message) == 1000
        assert found.error.message.endswith("x (retries stopped by stopIf)")

    def test_an_own_schedule_keeps_it(self) -> None:
        policy = RetryConfig(times=0, stop_if="true", retry_at=(time(9),))
        instance = an_instance(schedule=OwnSchedule(retry_times=5))
        of_schedule = policy_of(instance, a_task(retry_config=policy), a_step())

        assert (of_schedule.times, of_schedule.stop_if, of_schedule.retry_at) == (5, "true", (time(9),))


class TestRetryAt:
    """A retry waits for the next time of day of ``retryAt`` in the strategy's zone. No jitter is added."""

    TIMES = (time(9), time(18))

    def policy(self, delay: Delta | None = None, **members: Any) -> RetryConfig:
        return RetryConfig(
            times=3, retry_after=delay or hours(1), retry_at=self.TIMES, **{"jitter_percent": 100, **members}
        )

    @pytest.mark.parametrize(
        ("amount", "day", "hour"),
        [
            (0, 31, 17),  # it is 13:00 in Madrid
            (4, 31, 17),
            (5, 31, 17),  # 18:00 in Madrid exactly
            (6, 32, 8),
            (20, 32, 8),
        ],
    )
    def test_a_delay_ends_at_the_next_time(self, amount: int, day: int, hour: int) -> None:
        expected = datetime(2026, 1, 31, hour, tzinfo=UTC) + timedelta(days=day - 31)

        assert retry_at(self.policy(hours(amount))) == expected

    def test_a_date_that_was_reset_moves_too(self) -> None:
        policy = self.policy(days(1, reset_to=ResetTo(hour=10, minute=30)))

        assert retry_at(policy) == datetime(2026, 2, 1, 17, tzinfo=UTC)

    def test_the_date_of_a_callback_moves_too(self) -> None:
        policy = self.policy(hours(1, retry_event_callback='{"unit": "days", "amount": 2}'))

        assert retry_at(policy) == datetime(2026, 2, 2, 17, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("earliest", "expected"),
        [
            (datetime(2026, 1, 31, 17, tzinfo=UTC), datetime(2026, 1, 31, 17, tzinfo=UTC)),
            (datetime(2026, 1, 31, 17, 0, 1, tzinfo=UTC), datetime(2026, 2, 1, 8, tzinfo=UTC)),
            (datetime(2026, 2, 3, 12, tzinfo=UTC), datetime(2026, 2, 3, 17, tzinfo=UTC)),
            (datetime(2026, 1, 31, 12, tzinfo=UTC), datetime(2026, 1, 31, 17, tzinfo=UTC)),
        ],
    )
    def test_it_is_the_first_time_that_the_service_allows(
        self, earliest: datetime, expected: datetime
    ) -> None:
        failed = FailedStep(step=a_step(), error=ERROR, attempt=1, earliest=earliest)
        variables = scope(MADRID, an_instance(), now=NOON, event=an_event())
        found, _ = failure(
            MADRID, an_instance(), an_event(), self.policy(), failed, variables=variables, now=NOON
        )

        assert found.retry_at == expected

    def test_attempts_are_used_up_if_there_is_no_such_time(self) -> None:
        last_day = datetime(9999, 12, 31, 17, tzinfo=UTC)
        failed, note = decided(self.policy(hours(1), pause_before_cancel=True), now=last_day)

        assert (failed.retry_at, failed.pauses) == (None, True)
        assert note is not None
        assert note.startswith("retryAt: no such date")
