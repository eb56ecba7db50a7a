from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.instance.event import Event
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import Certainty, Failure, Intent, Outcome, Path, Refusal, StepError
from shared.domain.steps.call import Answered, CallOutcome, TimedOut, TokenRefused
from shared.domain.steps.flow import StepContext
from shared.domain.steps.outcome import judge_call
from shared.domain.steps.refusal import MAX_REFUSALS, Refused, decide_refusal
from tests.factories import (
    HOUR,
    NOON,
    a_history,
    an_entry,
    an_event,
    an_instance,
    an_intent,
    hours,
    settings,
    step,
    strategy_from,
    task,
)

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
BUSY = Answered(status=429)
DOWN = Answered(status=503, body={"why": "maintenance"})


def after(amount: float | datetime, status: int = 429) -> Answered:
    """Return a refusal with a ``Retry-After`` in seconds, or with a date."""
    distance = amount if isinstance(amount, datetime) else timedelta(seconds=amount)
    return Answered(status=status, retry_after=distance)


def a_context(
    retry: Mapping[str, Any] | None = None,
    *,
    intent: Intent,
    now: datetime = NOON,
    event: Event | None = None,
    refusals: int = 0,
    **method: Any,
) -> StepContext:
    """Return a context in which a step ``charge`` posts; ``refusals`` entries of its run are refusals."""
    called = settings()["services"][0] | {
        "methods": [{"key": "post", "url": "/things", "method": "post", **method}]
    }
    retrying = {} if retry is None else {"retryConfig": retry}
    document = settings(task("charge", step("charge"), **retrying), services=[called])
    document["actions"] = [{"key": "post", "service": "api", "method": "post"}]
    entries = [
        an_entry(
            intent=replace(intent, visit=visit),
            outcome=Outcome(success=False),
            then=replace(intent, visit=visit + 1, refusal=Refusal(since=NOON, times=visit)),
        )
        for visit in range(1, refusals + 1)
    ]
    return StepContext(
        strategy=strategy_from(document),
        instance=an_instance(attributes={"due": "2026-02-10T08:00:00Z"}),
        event=event or an_event(),
        event_history=a_history(*entries),
        now=now,
        token="token",
    )


def decided(
    call: CallOutcome = BUSY,
    retry: Mapping[str, Any] | None = None,
    *,
    intent: Intent | None = None,
    **of: Any,
) -> Refused | None:
    intent = intent or an_intent("charge")
    context = a_context({"jitterPercent": 0, **(retry or {})}, intent=intent, **of)
    return decide_refusal(context, intent, judge_call(context, intent, call), call)


def again(call: CallOutcome = BUSY, retry: Mapping[str, Any] | None = None, **of: Any) -> Intent:
    refused = decided(call, retry, **of)
    assert refused is not None
    assert refused.again is not None
    return refused.again


def wait(call: CallOutcome = BUSY, retry: Mapping[str, Any] | None = None, **of: Any) -> timedelta:
    """Return how long the step waits."""
    until = again(call, retry, **of).not_before
    assert until is not None
    now: datetime = of.get("now", NOON)
    return until - now


def refused_before(times: int, since: datetime = NOON) -> Intent:
    """Return the intent of a call that was refused some times."""
    return an_intent("charge", visit=times + 1, refusal=Refusal(since=since, times=times))


class TestWhatWaits:
    """ "After a 429 or a 503 the event waits." Other answers, and steps without a call, do not."""

    @pytest.mark.parametrize("call", [BUSY, DOWN, TokenRefused(why="no token")])
    def test_a_refusal_waits(self, call: CallOutcome) -> None:
        assert wait(call) == MINUTE

    @pytest.mark.parametrize(
        "call",
        [Answered(status=200), Answered(status=409), Answered(status=504), TimedOut(why="silence"), None],
    )
    def test_nothing_else_does(self, call: CallOutcome | None) -> None:
        intent = an_intent("charge")
        context = a_context(intent=intent)

        assert decide_refusal(context, intent, Outcome(success=False), call) is None

    def test_a_step_without_a_call_does_not_wait(self) -> None:
        context = StepContext(
            strategy=strategy_from(settings(task("charge", step("charge", controllerCallback="{}")))),
            instance=an_instance(),
            event=an_event(),
            event_history=a_history(),
            now=NOON,
            token="token",
        )

        assert decide_refusal(context, an_intent("charge"), Outcome(success=True), BUSY) is None

    def test_a_method_that_handles_the_status_does_not_wait(self) -> None:
        assert decided(definiteStatuses=[429]) is None
        assert decided(DOWN, definiteStatuses=[429]) is not None
        assert decided(wholeAnswer=True) is None


class TestHowLong:
    """ "At least as long as Retry-After says (seconds or date) and at least the configured delay; without either, one
    minute, doubling to an hour."
    """

    @pytest.mark.parametrize(
        ("times", "minutes"), [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 60), (7, 60), (40, 60)]
    )
    def test_without_either_it_doubles_from_a_minute_to_an_hour(self, times: int, minutes: int) -> None:
        assert wait(intent=refused_before(times)) == timedelta(minutes=minutes)

    @pytest.mark.parametrize("seconds", [1, 5, 59, 60, 61, 7200, 24 * 3600])
    def test_the_service_says_how_long(self, seconds: int) -> None:
        assert wait(after(seconds)) == timedelta(seconds=seconds)

    def test_the_service_names_a_date(self) -> None:
        assert wait(after(datetime(2026, 1, 31, 14, 30, tzinfo=UTC))) == timedelta(hours=2, minutes=30)

    @pytest.mark.parametrize(
        ("said", "times", "seconds"),
        [
            (0, 0, 1),
            (1, 0, 1),
            (1, 1, 2),
            (1, 5, 32),
            (1, 11, 2048),
            (1, 12, 3600),
            (1, 90, 3600),
            (7200, 9, 7200),
        ],
    )
    def test_a_floor_grows_from_a_second_to_an_hour(self, said: int, times: int, seconds: int) -> None:
        assert wait(after(said), intent=refused_before(times)) == timedelta(seconds=seconds)

    def test_a_date_that_has_passed_is_the_floor(self) -> None:
        assert wait(after(NOON - HOUR)) == timedelta(seconds=1)

    @pytest.mark.parametrize(
        ("said", "expected"), [(60, HOUR), (3599, HOUR), (3601, timedelta(seconds=3601))]
    )
    def test_the_later_of_both_counts(self, said: int, expected: timedelta) -> None:
        assert wait(after(said), {"times": 1, "retryAfter": hours(1)}) == expected

    def test_the_delay_of_the_next_retry_counts(self) -> None:
        retry = {"retryStrategy": [hours(1), hours(3)]}

        assert wait(BUSY, retry) == HOUR
        assert wait(BUSY, retry, intent=an_intent("charge", attempt=2)) == 3 * HOUR

    def test_if_no_attempt_is_left_the_last_delay_counts(self) -> None:
        assert wait(BUSY, {"retryStrategy": [hours(1), hours(3)]}, intent=an_intent("charge", attempt=3)) == (
            3 * HOUR
        )
        assert wait(BUSY, {"times": 0, "retryAfter": hours(2)}) == 2 * HOUR

    def test_a_configured_delay_of_nothing_is_none(self) -> None:
        assert wait(BUSY, {"times": 1, "retryAfter": hours(0)}) == MINUTE

    def test_a_callback_gives_the_configured_delay(self) -> None:
        delay = hours(1) | {"retryEventCallback": '{"unit": "hours", "amount": attempt * 2}'}

        assert wait(BUSY, {"times": 2, "retryAfter": delay}) == 2 * HOUR

    def test_a_broken_callback_is_recorded(self) -> None:
        delay = hours(1) | {"retryEventCallback": '{"unit": "hours", "amount": attributes.missing}'}

        refused = decided(BUSY, {"times": 2, "retryAfter": delay})

        assert refused is not None
        assert refused.again is not None
        assert refused.again.not_before == NOON + HOUR
        (note,) = refused.outcome.notes
        assert note.startswith("delay after a refusal of charge: ")

    def test_resetting_the_configured_delay_counts(self) -> None:
        delay = hours(1) | {"resetTo": {"hour": 18}}

        assert wait(after(10), {"times": 2, "retryAfter": delay}) == 6 * HOUR


class TestLimit:
    """ "Past a limit in all (setting; default 24 h) the attempt fails." The limit bounds ``Retry-After`` too."""

    @pytest.mark.parametrize(
        ("passed", "waits"),
        [
            (timedelta(), True),
            (DAY - timedelta(milliseconds=1), True),
            (DAY, False),
            (DAY + timedelta(milliseconds=1), False),
        ],
    )
    def test_the_default_is_a_day(self, passed: timedelta, waits: bool) -> None:  # noqa: FBT001 - a parameter of the test
        refused = decided(intent=refused_before(9), now=NOON + passed)

        assert refused is not None
        assert (refused.again is not None) is waits

    @pytest.mark.parametrize(("hours_passed", "waits"), [(1.99, True), (2, False)])
    def test_the_setting_counts(self, hours_passed: float, waits: bool) -> None:  # noqa: FBT001 - a parameter of the test
        refused = decided(BUSY, {"refusedHours": 2}, intent=refused_before(9), now=NOON + hours_passed * HOUR)

        assert refused is not None
        assert (refused.again is not None) is waits

    def test_with_zero_hours_nothing_waits(self) -> None:
        refused = decided(after(7200), {"refusedHours": 0})

        assert refused is not None
        assert (refused.again, refused.earliest) == (None, NOON)

    def test_the_last_wait_ends_at_the_limit(self) -> None:
        late = NOON + 23.5 * HOUR

        assert wait(intent=refused_before(30), now=late) == timedelta(minutes=30)
        assert wait(after(7200), intent=refused_before(3), now=late) == timedelta(minutes=30)

    @pytest.mark.parametrize("said", [25 * 3600, 365 * 86_400, datetime(9999, 12, 31, tzinfo=UTC)])
    def test_no_service_keeps_an_event_longer(self, said: int | datetime) -> None:
        assert wait(after(said)) == DAY

    def test_a_configured_delay_may_be_longer(self) -> None:
        assert wait(BUSY, {"times": 1, "retryAfter": {"unit": "days", "amount": 3}}) == 3 * DAY

    def test_the_retry_of_a_failed_attempt_heeds_the_service(self) -> None:
        late = NOON + DAY

        refused = decided(after(7200), intent=refused_before(9), now=late)
        assert refused is not None
        assert (refused.again, refused.earliest) == (None, late + 2 * HOUR)

        refused = decided(after(datetime(9999, 1, 1, tzinfo=UTC)), intent=refused_before(9), now=late)
        assert refused is not None
        assert refused.earliest == late + DAY

        refused = decided(intent=refused_before(9), now=late)
        assert refused is not None
        assert refused.earliest is None

    def test_a_run_has_a_greatest_number_of_refusals(self) -> None:
        assert MAX_REFUSALS == 700
        within = decided(intent=refused_before(699), refusals=699)
        beyond = decided(intent=refused_before(700), refusals=700)

        assert within is not None
        assert beyond is not None
        assert (within.again is not None, beyond.again) == (True, None)


class TestWhatIsKept:
    """ "It uses no attempt and runs no ``onBeforeRetry``": the same call follows, and the run keeps its state."""

    def test_the_same_call_follows_with_the_same_ids(self) -> None:
        first = an_intent(
            "charge",
            visit=3,
            repeat=True,
            passed=("quote",),
            branches=("mail",),
            attempt=2,
            resets=("charge",),
            answers_later=True,
        )

        assert again(intent=first) == replace(
            first,
            visit=4,
            passed=(),
            not_before=NOON + MINUTE,
            refusal=Refusal(since=NOON, times=1),
        )

    def test_refusals_in_a_row_are_counted_since_the_first(self) -> None:
        found = again(intent=refused_before(2), now=NOON + HOUR)

        assert found.refusal == Refusal(since=NOON, times=3)

    def test_the_body_of_a_refusal_is_not_stored(self) -> None:
        refused = decided(DOWN)

        assert refused is not None
        assert refused.outcome == Outcome(
            success=False,
            error=StepError(message="api/post returned HTTP 503", kind=ErrorKind.HTTP, status=503),
            certainty=Certainty.OPEN,
        )

    def test_a_refused_repeat_leaves_the_first_sending_in_doubt(self) -> None:
        refused = decided(intent=an_intent("charge", repeat=True))

        assert refused is not None
        assert refused.outcome.certainty is Certainty.IN_DOUBT


class TestSidePaths:
    """A side path waits as well, but the path before a retry never delays that retry."""

    def on_the_path(self, path: Path, retry_at: datetime | None) -> Refused | None:
        failed = Failure(
            step="charge", failed_at=NOON, error=StepError(message="declined"), retry_at=retry_at, pauses=True
        )
        return decided(after(600), intent=an_intent("charge", path=path, failure=failed))

    @pytest.mark.parametrize(("minutes", "waits"), [(9, False), (10, True), (11, True)])
    def test_the_path_before_a_retry_waits_at_most_until_the_retry(self, minutes: int, waits: bool) -> None:  # noqa: FBT001 - a parameter of the test
        refused = self.on_the_path(Path.BEFORE_RETRY, NOON + minutes * MINUTE)

        assert refused is not None
        assert (refused.again is not None) is waits

    def test_the_path_before_a_pause_waits(self) -> None:
        refused = self.on_the_path(Path.BEFORE_PAUSE, None)

        assert refused is not None
        assert refused.again is not None


class TestJitter:
    """ "So that a burst doesn't come back as a burst": only ever added, by event and run, none with ``resetTo``."""

    def waits(self, percent: int, retry: Mapping[str, Any] | None = None) -> set[timedelta]:
        of = {"jitterPercent": percent, **(retry or {})}
        return {wait(after(3600), of, event=an_event(seq, run=run)) for seq in range(1, 9) for run in (1, 2)}

    def test_jitter_spreads_refused_calls(self) -> None:
        waits = self.waits(50)

        assert len(waits) == 16
        assert min(waits) >= HOUR
        assert max(waits) < 1.5 * HOUR

    def test_zero_spreads_nothing(self) -> None:
        assert self.waits(0) == {HOUR}

    def test_a_reset_date_is_kept(self) -> None:
        reset = {"times": 1, "retryAfter": hours(1) | {"resetTo": {"hour": 20}}}

        assert self.waits(50, reset) == {8 * HOUR}

    def test_it_is_added_beyond_the_limit(self) -> None:
        found = wait(after(48 * 3600), {"jitterPercent": 100}, event=an_event(3))

        assert DAY < found < 2 * DAY
