"""Parsing calendars, deltas, and the tasks around a cycle."""

from typing import Any

import pytest

from shared.domain.calendar.cron import read_cron
from shared.domain.errors import InvalidInputError, Problem
from shared.domain.strategy.parse import read_definition, stored_definition
from tests.domain.strategy.definitions import broken_rules, changed, full, minimal, problems
from tests.lifecycle_factories import at

SCHEDULE_AFTER = "/schedule/calendars/0/scheduleAfter"


def calendar(key: str = "monthly", **members: object) -> dict[str, object]:
    return {"key": key, "task": "bill", "scheduleAfter": {"unit": "months", "amount": 1}, **members}


def calendars(*entries: dict[str, object]) -> dict[str, Any]:
    return changed("/schedule/calendars", list(entries))


class TestReferences:
    """The tasks of a calendar and its leading-up tasks must exist."""

    def test_the_main_task_must_exist(self) -> None:
        assert problems(calendars(calendar(task="bil"))) == [
            Problem(pointer="/schedule/calendars/0/task", rule="reference", message="there is no task 'bil'")
        ]

    def test_a_leading_up_task_must_exist(self) -> None:
        before = {"unit": "days", "amount": 3}
        tasks = [{"task": name, "scheduleBefore": before} for name in ("bill", "remind", "")]
        assert broken_rules(calendars(calendar(leadingUpTasks=tasks))) == [
            ("/schedule/calendars/0/leadingUpTasks/1/task", "reference"),
            ("/schedule/calendars/0/leadingUpTasks/2/task", "empty"),
        ]

    def test_at_most_twenty_leading_up_tasks_are_allowed(self) -> None:
        entry = {"task": "bill", "scheduleBefore": {"unit": "days", "amount": 3}}
        assert problems(calendars(calendar(leadingUpTasks=[entry] * 20))) == []
        assert problems(calendars(calendar(leadingUpTasks=[entry] * 21))) == [
            Problem(
                pointer="/schedule/calendars/0/leadingUpTasks",
                rule="too-many",
                message="must hold at most 20 entries",
            )
        ]


class TestRunOnCycle:
    """A calendar has a cycle number or a callback; with a number the callback would never be evaluated."""

    def test_a_number_or_a_callback_is_allowed(self) -> None:
        assert problems(calendars(calendar(runOnCycle=12))) == []
        assert problems(calendars(calendar(runOnCycleCallback="cycle % 12 == 0"))) == []

    def test_a_number_and_a_callback_are_refused(self) -> None:
        assert problems(calendars(calendar(runOnCycle=12, runOnCycleCallback="cycle % 12 == 0"))) == [
            Problem(
                pointer="/schedule/calendars/0/runOnCycleCallback",
                rule="exclusive",
                message="is never evaluated: runOnCycle decides alone",
            )
        ]


class TestRising:
    """ "The planned date of cycle n+1 is strictly after that of cycle n"; refused on save if it can be seen there."""

    def test_a_delta_of_zero_is_refused(self) -> None:
        assert problems(changed(f"{SCHEDULE_AFTER}/amount", 0)) == [
            Problem(
                pointer=SCHEDULE_AFTER,
                rule="not-rising",
                message="each cycle must be later than the one before it; a delta of 0 is not",
            )
        ]

    def test_a_delta_of_zero_is_allowed_for_cycle_1_only(self) -> None:
        nothing = {"unit": "days", "amount": 0}
        first = calendar("first", runOnCycle=1, scheduleAfter=nothing)
        assert problems(calendars(first, calendar())) == []  # cycle 1 is not dated by it
        second = calendar("second", runOnCycle=2, scheduleAfter=nothing)
        assert broken_rules(calendars(second, calendar())) == [(SCHEDULE_AFTER, "not-rising")]

    @pytest.mark.parametrize(
        "members",
        [
            {
                "scheduleAfter": {
                    "unit": "days",
                    "amount": 0,
                    "retryEventCallback": '{"unit": "days", "amount": cycle}',
                }
            },
        ],
    )
    def test_a_delta_that_may_rise_is_allowed(self, members: dict[str, object]) -> None:
        assert problems(calendars({**calendar(), **members})) == []

    def test_a_callback_alone_cannot_date_cycles(self) -> None:
        """It moves due dates, and the planned dates must rise without it."""
        of = calendar(
            scheduleAfter={"unit": "days", "amount": 0},
            nextCycleDateCallback='addMonths(date, 1, "UTC")',
        )
        (problem,) = problems(calendars(of))
        assert (problem.pointer, problem.rule) == (SCHEDULE_AFTER, "not-rising")
        assert problem.message.endswith("a delta of 0 is not; nextCycleDateCallback moves the due date only")

    @pytest.mark.parametrize("members", [{}, {"nextCycleDateCallback": 'addMonths(date, cycle, "UTC")'}])
    def test_a_date_attribute_cannot_date_every_cycle(self, members: dict[str, object]) -> None:
        after = {"unit": "months", "amount": 1, "from": "renewal"}
        (problem,) = problems(calendars({**calendar(scheduleAfter=after), **members}))
        assert (problem.pointer, problem.rule) == (SCHEDULE_AFTER, "not-rising")
        assert problem.message.startswith("counts every cycle from the same date")

    def test_a_date_attribute_may_date_single_cycles(self) -> None:
        after = {"unit": "months", "amount": 1, "from": "renewal"}
        others = calendar()
        for members in ({"runOnCycle": 2}, {"runOnCycleCallback": "cycle == 2"}):
            second = {**calendar("second", scheduleAfter=after), **members}
            assert problems(calendars(second, others)) == []
        later = calendar("later", runOnCycleCallback="cycle > 2")
        assert problems(calendars(calendar(scheduleAfter=after), later)) == []

    def test_a_callback_may_move_a_date_attribute_on(self) -> None:
        after = {
            "unit": "months",
            "amount": 1,
            "from": "renewal",
            "retryEventCallback": '{"unit": "months", "amount": cycle}',
        }
        assert problems(calendars(calendar(scheduleAfter=after))) == []

    @pytest.mark.parametrize(
        ("unit", "amount", "reset_to"),
        [
            ("days", 0, {"day": 15}),
            ("days", 1, {"day": 5}),
            ("months", 1, {"month": 3}),
            ("months", 6, {"month": 3}),
            ("hours", 5, {"hour": 9}),
            ("minutes", 30, {"minute": 0}),
        ],
    )
    def test_a_delta_that_returns_to_its_own_date_is_refused(
        self, unit: str, amount: int, reset_to: dict[str, int]
    ) -> None:
        message = "each cycle must be later than the one before it; this delta returns to the same date"
        after = {"unit": unit, "amount": amount, "resetTo": reset_to}
        assert problems(changed(SCHEDULE_AFTER, after)) == [
            Problem(pointer=SCHEDULE_AFTER, rule="not-rising", message=message)
        ]

    @pytest.mark.parametrize(
        ("unit", "amount", "reset_to"),
        [
            ("days", 1, {"hour": 9}),
            ("days", 1, {"hour": 24}),
            ("months", 1, {"day": 31}),
            ("months", 11, {"month": 3}),
            ("years", 1, {"month": 1, "day": 1}),
            ("hours", 1, {"minute": 0}),
        ],
    )
    def test_a_delta_that_rises_is_allowed(self, unit: str, amount: int, reset_to: dict[str, int]) -> None:
        after = {"unit": unit, "amount": amount, "resetTo": reset_to}
        assert problems(changed(SCHEDULE_AFTER, after)) == []

    def test_another_calendar_in_between_may_rise(self) -> None:
        back = {"unit": "days", "amount": 1, "resetTo": {"day": 5}}
        each = calendar("each", scheduleAfter=back)
        even = calendar("even", runOnCycleCallback="cycle % 2 == 0")
        assert problems(calendars(each, even)) == []
        assert problems(calendars(calendar(), calendar("never", scheduleAfter=back))) == []
        fifth = calendar("fifth", runOnCycle=5)
        assert broken_rules(calendars(each, fifth)) == [(SCHEDULE_AFTER, "not-rising")]

    def test_a_delta_out_of_the_calendar_is_refused(self) -> None:
        assert problems(changed(SCHEDULE_AFTER, {"unit": "years", "amount": 9000})) == [
            Problem(
                pointer=SCHEDULE_AFTER,
                rule="not-rising",
                message="no cycle can be dated with this: no such date: year 11026 is out of range",
            )
        ]

    @pytest.mark.parametrize(
        ("after", "where", "rule"),
        [
            ({"unit": "days", "amount": "0"}, "/amount", "type"),
            ({"unit": "weeks", "amount": 0}, "/unit", "enum"),
            ({"unit": "days", "amount": 0, "resetTo": 9}, "/resetTo", "type"),
            ({"unit": "days", "amount": 0, "resetTo": {"day": 40}}, "/resetTo/day", "range"),
            ({"unit": "days", "amount": 0, "from": 1}, "/from", "type"),
        ],
    )
    def test_an_invalid_delta_is_reported_only_once(
        self, after: dict[str, object], where: str, rule: str
    ) -> None:
        assert broken_rules(changed(SCHEDULE_AFTER, after)) == [(SCHEDULE_AFTER + where, rule)]


class TestDeltas:
    """Unit and amount are required in every delta, even with a callback."""

    def test_a_callback_alone_is_not_enough(self) -> None:
        delta = {"retryEventCallback": '{"unit": "days", "amount": 1}'}
        assert broken_rules(changed("/schedule/initialDelay", delta)) == [
            ("/schedule/initialDelay/amount", "required"),
            ("/schedule/initialDelay/unit", "required"),
        ]

    def test_a_retry_delay_has_only_unit_and_amount(self) -> None:
        found = changed("/tasks/0/retryConfig/retryStrategy/0/from", "renewal", of=full())
        assert broken_rules(found) == [("/tasks/0/retryConfig/retryStrategy/0/from", "unknown-field")]

    def test_an_attribute_name_is_not_empty(self) -> None:
        settings = changed("/schedule/initialDelay", {"unit": "days", "amount": 0, "from": ""})
        assert broken_rules(settings) == [("/schedule/initialDelay/from", "empty")]

    def test_a_null_delay_is_not_a_delay(self) -> None:
        delay = read_definition(
            changed("/schedule/initialDelay", {"unit": "days", "amount": 0}, of=minimal()), environment="dev"
        ).initial_delay
        assert delay is not None
        assert delay.amount == 0


class TestCron:
    """A calendar is dated by an expression that fires, or by `scheduleAfter`, but not by both."""

    def cron(self, text: object, **members: object) -> dict[str, Any]:
        return calendars({"key": "c", "task": "bill", "cron": text, **members})

    def broken_rules(self, text: object, *, now: str | None = None) -> list[Problem]:
        try:
            read_definition(self.cron(text), environment="dev", now=None if now is None else at(now))
        except InvalidInputError as error:
            return list(error.problems)
        return []

    @pytest.mark.parametrize("text", ["0 9 * * MON", "0 0 9 ? * MON", "0 0 9 L * ? 2026-2030"])
    def test_cron_replaces_a_delta(self, text: str) -> None:
        (read,) = read_definition(self.cron(text), environment="dev").calendars
        assert read.cron == read_cron(text)
        assert read.schedule_after is None

    def test_cron_is_allowed_with_the_other_members_of_a_calendar(self) -> None:
        ahead = [{"task": "bill", "scheduleBefore": {"unit": "days", "amount": 3}}]
        assert (
            problems(self.cron("0 9 * * *", runOnCycleCallback="cycle > 1", leadingUpTasks=ahead))
            == problems(self.cron("0 9 * * *", runOnCycle=1, nextCycleDateCallback="date"))
            == []
        )

    def test_cron_and_a_delta_are_refused(self) -> None:
        assert problems(self.cron("0 9 * * *", scheduleAfter={"unit": "days", "amount": 0})) == [
            Problem(
                pointer="/schedule/calendars/0/cron",
                rule="exclusive",
                message="must not be given beside scheduleAfter: one of them dates the cycles",
            ),
            Problem(
                pointer="/schedule/calendars/0/scheduleAfter",
                rule="not-rising",
                message="each cycle must be later than the one before it; a delta of 0 is not",
            ),
        ]

    def test_a_calendar_without_cron_and_delta_is_refused(self) -> None:
        assert broken_rules(calendars({"key": "c", "task": "bill"})) == [(SCHEDULE_AFTER, "required")]
        assert broken_rules(self.cron(None)) == [(SCHEDULE_AFTER, "required")]

    @pytest.mark.parametrize(
        ("text", "rule"), [(9, "type"), ("", "empty"), ("0 " * 257, "too-long"), (["0 9 * * *"], "type")]
    )
    def test_values_that_are_no_expression_are_refused(self, text: object, rule: str) -> None:
        assert broken_rules(self.cron(text)) == [("/schedule/calendars/0/cron", rule)]

    def test_every_fault_is_reported_with_its_place(self) -> None:
        assert self.broken_rules("0 9,24\t* * FRIDAY") == [
            Problem(
                pointer="/schedule/calendars/0/cron",
                rule="cron",
                message="the hour must be 0 to 23, not '24'",
                caret="0 9,24\t* * FRIDAY\n    ^",
            ),
            Problem(
                pointer="/schedule/calendars/0/cron",
                rule="cron",
                message="the day of the week must be 0 to 7 or SUN to SAT, not 'FRIDAY'",
                caret="0 9,24\t* * FRIDAY\n      \t    ^",
            ),
        ]

    @pytest.mark.parametrize("text", ["0 0 31 2 *", "0 0 9 30 2 ?", "0 0 9 29 2 ? 2027"])
    def test_an_expression_that_never_fires_is_refused(self, text: str) -> None:
        assert self.broken_rules(text) == [
            Problem(
                pointer="/schedule/calendars/0/cron",
                rule="never-fires",
                message="never fires: there is no such date",
            )
        ]

    def test_an_expression_without_a_further_date_is_refused(self) -> None:
        assert self.broken_rules("0 0 9 1 1 ? 2025", now="2026-02-01") == [
            Problem(
                pointer="/schedule/calendars/0/cron",
                rule="never-fires",
                message="has no further date: the last one has passed",
            )
        ]
        assert self.broken_rules("0 0 9 1 1 ? 2025-2027", now="2026-02-01") == []
        assert self.broken_rules("0 0 9 1 1 ? 2025") == []

    def test_a_stored_expression_is_read_after_its_last_date(self) -> None:
        (read,) = stored_definition(self.cron("0 0 9 1 1 ? 1999")).calendars
        assert read.cron == read_cron("0 0 9 1 1 ? 1999")
