import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.calendar.dates import ResetTo, Span, Unit, moment_at, zone_named
from shared.domain.instance.event import Event, EventKind, EventStatus, Move
from shared.domain.instance.journal import StepResult
from shared.domain.instance.model import CancelReason, InstanceStatus
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import Failure, StepError
from shared.domain.instance.scope import (
    directives,
    instant,
    is_true,
    scope,
    span_of,
    with_failure,
    with_response,
)
from shared.domain.strategy.model import Delta
from shared.domain.strategy.variables import MEMBERS, VARIABLES
from shared.expressions import EvaluationError
from tests.factories import HOUR, NOON, a_stop, a_strategy, an_event, an_instance, an_intent

STRATEGY = a_strategy()
PAGE = Path(__file__).parents[3] / "docs" / "expressions.md"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", re.MULTILINE)


def variables(**members: Any) -> dict[str, Any]:
    return scope(STRATEGY, an_instance(attributes={"fee": 39}), now=NOON, **members)


class TestScope:
    """Every expression sees the same variables; those without a value are null or empty."""

    def test_every_variable_has_a_value(self) -> None:
        assert set(variables()) == set(VARIABLES)

    def test_the_documentation_lists_every_variable(self) -> None:
        (section,) = re.findall(r"^## Variables\n(.*?)^## ", PAGE.read_text(), re.DOTALL | re.MULTILINE)
        told = {name: (kind, re.findall(r"`(\w+)`", text)) for name, kind, text in ROW.findall(section)}
        failed = StepResult(success=False, error=StepError(message="no"))
        seen = variables(event=an_event(), stack={"charge": failed})

        result = seen["stack"]["charge"]
        assert {name: kind for name, (kind, _) in told.items()} == {
            name: variable.value for name, variable in VARIABLES.items()
        }
        assert told["instance"][1] == list(seen["instance"])
        assert sorted(told["event"][1]) == sorted(seen["event"])
        assert sorted(told["stack"][1]) == sorted([*result, *result["error"]])

    def test_the_names_that_are_checked_when_saved_are_those_that_are_seen(self) -> None:
        seen = variables(event=an_event())

        assert {name: tuple(seen[name]) for name in MEMBERS} == MEMBERS

    def test_the_planned_date_is_the_one_before_a_move(self) -> None:
        moved = an_event(date=NOON, move=Move(planned=NOON - timedelta(days=2), why="a callback"))
        seen = variables(event=moved)["event"]
        assert (seen["date"], seen["plannedDate"]) == ("2026-01-31T12:00:00.000Z", "2026-01-29T12:00:00.000Z")

    def test_a_retry_does_not_move_the_planned_date(self) -> None:
        retried = an_event(date=NOON, first_date=NOON - timedelta(days=1))
        assert variables(event=retried)["event"]["plannedDate"] == "2026-01-30T12:00:00.000Z"

    def test_the_event_is_empty_outside_an_event(self) -> None:
        bare = variables()

        assert (bare["event"], bare["stack"], bare["response"]) == ({}, {}, None)
        assert (bare["cycle"], bare["date"], bare["now"], bare["attempt"]) == (1, NOON, NOON, 1)
        assert bare["env"] == "dev"

    def test_the_instance_variable_has_all_members(self) -> None:
        zone = zone_named("Europe/Madrid")
        instance = an_instance(
            description="Ana",
            status=InstanceStatus.CANCELED,
            stop=a_stop(cancel_reason=CancelReason.MAX_ATTEMPTS),
            cycle=4,
            moment=moment_at(datetime(2026, 2, 28, 23, 30, tzinfo=UTC), zone),
            end_date=datetime(2026, 12, 31, tzinfo=UTC),
            attributes={"fee": 39, "vip": True, "email": "ana@example.com"},
        )
        attributes = {"fee": 39.0, "vip": True, "email": "ana@example.com"}

        assert scope(STRATEGY, instance, now=NOON)["attributes"] == attributes
        assert scope(STRATEGY, instance, now=NOON)["instance"] == {
            "sid": "i",
            "strategyId": "membership",
            "description": "Ana",
            "status": "CANCELED",
            "cycle": 4,
            "startDate": "2026-01-31T12:00:00.000Z",
            "endDate": "2026-12-31T00:00:00.000Z",
            "executionDate": "2026-02-28T23:30:00.000Z",
            "plannedDate": "2026-02-28T23:30:00.000Z",
            "executionDay": 1,
            "attributes": attributes,
            "cancelReason": "MAX_ATTEMPTS",
            "nextDate": None,
            "stoppedReason": "operator:ann",
        }

    def test_the_instance_variable_without_a_plan_has_nulls(self) -> None:
        view = scope(STRATEGY, an_instance(moment=None), now=NOON)["instance"]

        assert [view[name] for name in ("endDate", "executionDate", "executionDay", "cancelReason")] == [
            None,
            None,
            None,
            None,
        ]

    def test_the_event_variable_has_all_members(self) -> None:
        event = an_event(7, kind=EventKind.ADDED, data={"invoice": "A-1"}, attempt=2, run=3, created_cycle=5)
        seen = variables(event=event)

        assert seen["event"] == {
            "sid": "i-7",
            "task": "charge",
            "main": False,
            "date": "2026-01-31T12:00:00.000Z",
            "plannedDate": "2026-01-31T12:00:00.000Z",
            "data": {"invoice": "A-1"},
            "createdCycle": 5,
            "run": 3,
            "attempt": 2,
            "nextRetryAt": None,
            "attemptsLeft": None,
            "worker": None,
            "idempotencyKey": None,
            "correlationId": None,
        }
        assert seen["attempt"] == 2

    def test_a_step_provides_its_attempt_and_keys(self) -> None:
        seen = variables(event=an_event(attempt=3), intent=an_intent(attempt=1))

        assert (seen["event"]["attempt"], seen["attempt"]) == (1, 1)
        assert seen["event"]["idempotencyKey"] == "i-1-1-1"
        assert seen["event"]["correlationId"] == "i-1.token"

    def test_the_date_is_the_events_unless_another_is_planned(self) -> None:
        other = datetime(2026, 5, 1, tzinfo=UTC)

        assert variables(event=an_event(date=other))["date"] == other
        assert variables(event=an_event(), date=other, cycle=9)["date"] == other
        assert variables(event=an_event(), date=other, cycle=9)["cycle"] == 9

    def test_the_stack_has_a_result_for_each_step(self) -> None:
        error = StepError(
            message="shop/charge returned HTTP 402", kind=ErrorKind.HTTP, status=402, data={"code": 12}
        )
        stack = {
            "charge": StepResult(success=False, error=error),
            "quote": StepResult(success=True, response={"fee": 39}, from_cache=True),
            "notify": StepResult(success=False, error=StepError(message="no answer: silence"), in_doubt=True),
        }

        assert variables(stack=stack)["stack"] == {
            "charge": {
                "success": False,
                "response": None,
                "cached": None,
                "error": {"message": "shop/charge returned HTTP 402", "status": 402, "data": {"code": 12.0}},
                "inDoubt": False,
                "fromCache": False,
            },
            "quote": {
                "success": True,
                "response": {"fee": 39.0},
                "cached": None,
                "error": None,
                "inDoubt": False,
                "fromCache": True,
            },
            "notify": {
                "success": False,
                "response": None,
                "cached": None,
                "error": {"message": "no answer: silence", "status": None, "data": None},
                "inDoubt": True,
                "fromCache": False,
            },
        }

    def test_a_controller_sees_the_response(self) -> None:
        assert with_response(variables(), {"n": 1})["response"] == {"n": 1.0}


class TestSidePaths:
    """A mail can say when the next attempt is, how many are left, and why the instance is stopped. All come from the
    stored failure, so that a repeated request is equal.
    """

    BEFORE_RETRY = Failure(
        step="charge",
        failed_at=NOON,
        error=StepError(message="HTTP 402", kind=ErrorKind.HTTP, status=402),
        retry_at=NOON + 48 * HOUR,
        attempts_left=2,
        next_at=NOON + HOUR,
    )
    BEFORE_PAUSE = replace(BEFORE_RETRY, retry_at=None, attempts_left=0, next_at=None, pauses=True)

    def seen(self, failure: Failure | None, *others: Event, **members: Any) -> tuple[Any, ...]:
        event = an_event()
        instance = an_instance(event, *others, **members)
        intent = an_intent(failure=failure)
        found = scope(STRATEGY, instance, now=NOON, event=event, intent=intent)
        return (
            found["event"]["nextRetryAt"],
            found["event"]["attemptsLeft"],
            found["instance"]["nextDate"],
            found["instance"]["stoppedReason"],
        )

    def test_before_a_retry(self) -> None:
        assert self.seen(self.BEFORE_RETRY) == (
            "2026-02-02T12:00:00.000Z",
            2,
            "2026-01-31T13:00:00.000Z",
            None,
        )

    def test_before_a_pause(self) -> None:
        assert self.seen(self.BEFORE_PAUSE) == (None, 0, None, "exhausted:http-402")

    def test_the_reason_has_the_class_of_any_error(self) -> None:
        crashed = replace(self.BEFORE_PAUSE, error=StepError(message="no answer", kind=ErrorKind.TIMEOUT))

        assert self.seen(crashed)[3] == "exhausted:timeout"

    def test_they_are_null_on_the_main_path(self) -> None:
        assert self.seen(None) == (None, None, None, None)

    def test_other_events_change_nothing_after_the_failure(self) -> None:
        sooner = an_event(9, kind=EventKind.ADDED, date=NOON, due_at=NOON)

        for failure in (self.BEFORE_RETRY, self.BEFORE_PAUSE):
            assert self.seen(failure, sooner) == self.seen(failure)

    def test_a_pause_by_an_operator_is_no_reason_before_a_pause(self) -> None:
        paused: dict[str, Any] = {"status": InstanceStatus.PAUSED, "stop": a_stop()}

        assert self.seen(self.BEFORE_PAUSE, **paused)[3] == "exhausted:http-402"
        assert self.seen(self.BEFORE_RETRY, **paused)[3] == "operator:ann"

    def test_a_failure_can_be_added_for_the_rules_that_begin_the_path(self) -> None:
        bare = variables(event=an_event())
        found = with_failure(bare, self.BEFORE_RETRY)

        assert (found["event"]["attemptsLeft"], bare["event"]["attemptsLeft"]) == (2, None)
        assert found["event"]["task"] == "charge"
        assert found["instance"]["attributes"] == {"fee": 39.0}


class TestNextDate:
    """On the main path the next date is that of the other event that comes first, and null if there is none."""

    def next_date(self, *others: Event, **members: Any) -> str | None:
        event = an_event(due_at=NOON)
        found = scope(STRATEGY, an_instance(event, *others, **members), now=NOON, event=event)
        date: str | None = found["instance"]["nextDate"]
        return date

    def test_the_first_of_the_others_counts(self) -> None:
        later = an_event(2, due_at=NOON + 3 * HOUR)
        first = an_event(3, kind=EventKind.ADDED, date=NOON + 5 * HOUR, due_at=NOON + 2 * HOUR)

        assert self.next_date(later, first) == "2026-01-31T14:00:00.000Z"

    def test_the_running_event_does_not_count(self) -> None:
        assert self.next_date() is None

    def test_an_onhold_event_does_not_start_by_itself(self) -> None:
        assert self.next_date(an_event(2, status=EventStatus.ONHOLD)) is None

    def test_a_stopped_instance_has_none(self) -> None:
        pending = an_event(2, due_at=NOON + HOUR)

        assert self.next_date(pending, status=InstanceStatus.PAUSED, stop=a_stop()) is None

    def test_it_is_null_while_dates_are_planned(self) -> None:
        instance = an_instance(an_event(due_at=NOON + HOUR))

        assert scope(STRATEGY, instance, now=NOON, date=NOON)["instance"]["nextDate"] is None


class TestNumbers:
    """ "Numbers from attributes, responses and data are double, engine numbers int; a whole double leaves as an
    integer".
    """

    @pytest.mark.parametrize(
        "condition",
        [
            "attributes.fee * 2.0 == 78.0",
            "response.n + 0.5 == 1.5",
            "cycle % 2 == 1 && attempt + 1 == 2",
            "instance.executionDay + 1 == 32",
            "double(cycle) * attributes.fee == 39.0",
        ],
    )
    def test_numbers_are_doubles_and_engine_numbers_ints(self, condition: str) -> None:
        assert is_true(condition, with_response(variables(), {"n": 1}))

    def test_whole_doubles_become_ints(self) -> None:
        answer = directives('{"fee": attributes.fee + 1.0, "half": attributes.fee / 2.0}', variables())

        assert answer == {"fee": 40, "half": 19.5}
        assert isinstance(answer["fee"], int)


class TestResults:
    """A condition returns a bool, a date callback an instant, a controller a map; anything else is an error."""

    def test_a_condition_returns_a_bool(self) -> None:
        assert is_true("cycle == 1", variables()) is True
        assert is_true("cycle == 2", variables()) is False
        with pytest.raises(EvaluationError, match="missing"):
            is_true("attributes.missing == 1.0", variables())

    def test_a_date_callback_returns_an_instant(self) -> None:
        assert instant('addDays(date, 1, "UTC")', variables()) == datetime(2026, 2, 1, 12, tzinfo=UTC)
        with pytest.raises(EvaluationError):
            instant("timestamp(attributes.missing)", variables())

    def test_a_controller_returns_a_map(self) -> None:
        assert directives('{"cancelInstance": "cycle " + string(cycle)}', variables()) == {
            "cancelInstance": "cycle 1"
        }
        with pytest.raises(EvaluationError):
            directives("attributes.fee", variables())


class TestSpan:
    """A delta's callback supplies unit, amount and resetTo. Missing members, or all if it fails, are the delta's
    own.
    """

    OWN = Span(unit=Unit.HOURS, amount=3, reset_to=ResetTo(minute=0))

    def span_by(self, callback: str | None) -> tuple[Span, str | None]:
        delta = Delta(unit=Unit.HOURS, amount=3, reset_to=ResetTo(minute=0), retry_event_callback=callback)
        return span_of(delta, variables())

    def test_a_delta_without_a_callback_is_its_own_span(self) -> None:
        assert self.span_by(None) == (self.OWN, None)

    def test_the_callback_is_not_evaluated_without_variables(self) -> None:
        delta = Delta(unit=Unit.HOURS, amount=3, retry_event_callback="{}")

        assert span_of(delta, None) == (Span(unit=Unit.HOURS, amount=3), None)

    @pytest.mark.parametrize(
        ("callback", "expected"),
        [
            ('{"unit": "days", "amount": 2}', Span(unit=Unit.DAYS, amount=2, reset_to=ResetTo(minute=0))),
            ('{"amount": attributes.fee}', Span(unit=Unit.HOURS, amount=39, reset_to=ResetTo(minute=0))),
            (
                '{"unit": dyn("days"), "resetTo": dyn({"day": 1, "hour": 24})}',
                Span(unit=Unit.DAYS, amount=3, reset_to=ResetTo(day=1, hour=24)),
            ),
            ("{}", OWN),
        ],
    )
    def test_the_callback_overrides_the_delta(self, callback: str, expected: Span) -> None:
        assert self.span_by(callback) == (expected, None)

    @pytest.mark.parametrize(
        ("callback", "why"),
        [
            ('{"amount": attributes.missing}', "missing"),
            ('{"amounts": 1}', "unknown member 'amounts'"),
            ('{"unit": "weeks"}', "'weeks' is not a unit"),
            ('{"unit": ["days"]}', "['days'] is not a unit"),
            ('{"amount": -1}', "-1 is not a whole number of hours"),
            ('{"amount": 1.5}', "1.5 is not a whole number of hours"),
            ('{"amount": true}', "True is not a whole number of hours"),
            ('{"resetTo": 9}', "resetTo is not an object"),
            ('{"resetTo": {"hour": 25}}', "resetTo.hour cannot be 25"),
            ('{"resetTo": {"hour": true}}', "resetTo.hour cannot be True"),
            ('{"resetTo": {"hour": 9.5}}', "resetTo.hour cannot be 9.5"),
            ('{"resetTo": {"week": 1}}', "resetTo.week cannot be 1"),
        ],
    )
    def test_a_failing_callback_leaves_the_delta(self, callback: str, why: str) -> None:
        span, note = self.span_by(callback)

        assert span == self.OWN
        assert note is not None
        assert note.startswith("retryEventCallback: ")
        assert why in note
