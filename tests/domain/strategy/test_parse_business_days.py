"""Parsing ``businessDays``: where it may be given, and its problems, all at once."""

from datetime import date
from typing import Any

import pytest

from shared.domain.calendar.business_days import BusinessDays, Convention, Weekday
from shared.domain.errors import Problem
from shared.domain.strategy.parse import read_definition, stored_definition
from tests.domain.strategy.definitions import broken_rules, changed, minimal, problems

OF_CALENDAR = "/schedule/calendars/0/businessDays"
OF_LEADING_UP = "/schedule/calendars/0/leadingUpTasks/0/scheduleBefore/businessDays"
OF_RETRY_AFTER = "/tasks/0/retryConfig/retryAfter/businessDays"
OF_RETRY_STRATEGY = "/tasks/0/retryConfig/retryStrategy/0/businessDays"
PLACES = [OF_CALENDAR, OF_LEADING_UP, OF_RETRY_AFTER, OF_RETRY_STRATEGY]
DAY = {"unit": "days", "amount": 1}


def given_at(pointer: str, **members: Any) -> dict[str, Any]:
    """Return settings with all places for business days, and these at one of them."""
    settings = minimal()
    settings["schedule"]["calendars"][0]["leadingUpTasks"] = [{"task": "bill", "scheduleBefore": {**DAY}}]
    settings["tasks"][0]["retryConfig"] = {
        "times": 2,
        "retryAfter": {**DAY},
        "retryStrategy": [{**DAY}],
    }
    return changed(pointer, {"convention": "following", **members}, of=settings)


def read(**members: Any) -> BusinessDays | None:
    settings = given_at(OF_CALENDAR, **members)
    return read_definition(settings, environment="dev").calendars[0].business_days


class TestFields:
    """Everything but the convention may be left out."""

    def test_only_weekends_are_no_business_days_by_default(self) -> None:
        assert read() == BusinessDays(
            convention=Convention.FOLLOWING, weekend=frozenset({Weekday.SATURDAY, Weekday.SUNDAY})
        )

    def test_without_it_every_day_counts(self) -> None:
        definition = read_definition(minimal(), environment="dev")
        assert definition.calendars[0].business_days is None

    @pytest.mark.parametrize("convention", Convention)
    def test_a_convention(self, convention: Convention) -> None:
        assert read(convention=convention.value) == BusinessDays(convention=convention)

    def test_a_weekend_may_be_empty(self) -> None:
        assert read(weekend=[]) == BusinessDays(convention=Convention.FOLLOWING, weekend=frozenset())

    def test_a_null_counts_as_left_out(self) -> None:
        nulls = dict.fromkeys(("weekend", "country", "subdivision", "holidays", "closed"))
        assert read(**nulls) == BusinessDays(convention=Convention.FOLLOWING)

    def test_a_country_with_a_subdivision(self) -> None:
        assert read(country="DE", subdivision="BY") == BusinessDays(
            convention=Convention.FOLLOWING, country="DE", subdivision="BY"
        )

    def test_holidays_and_closed(self) -> None:
        assert read(holidays=["2026-12-24"], closed="closedOn") == BusinessDays(
            convention=Convention.FOLLOWING, holidays=frozenset({date(2026, 12, 24)}), closed="closedOn"
        )

    @pytest.mark.parametrize("pointer", PLACES)
    def test_it_is_read_at_each_place(self, pointer: str) -> None:
        definition = read_definition(given_at(pointer, country="US"), environment="dev")
        calendar, policy = definition.calendars[0], definition.tasks["bill"].retry_config
        assert policy is not None
        assert policy.retry_after is not None
        found = dict(
            zip(
                PLACES,
                (
                    calendar.business_days,
                    calendar.leading_up_tasks[0].schedule_before.business_days,
                    policy.retry_after.business_days,
                    policy.retry_strategy[0].business_days,
                ),
                strict=True,
            )
        )
        rule = BusinessDays(convention=Convention.FOLLOWING, country="US")
        assert found == {place: rule if place == pointer else None for place in PLACES}


class TestProblems:
    """Every problem is reported at its place."""

    def test_all_problems_are_reported_at_once(self) -> None:
        settings = given_at(
            OF_CALENDAR,
            convention="never",
            weekend=["saturday", "caturday"],
            country="UK",
            holidays=["2027-02-29"],
            closed="",
            bank="TARGET",
        )
        assert [(problem.pointer, problem.message) for problem in problems(settings)] == [
            (f"{OF_CALENDAR}/bank", "is not a known field"),
            (f"{OF_CALENDAR}/closed", "must not be empty"),
            (
                f"{OF_CALENDAR}/convention",
                "must be one of following, preceding, modifiedFollowing, skip",
            ),
            (
                f"{OF_CALENDAR}/country",
                "'UK' is not a country of the holiday data; it is an ISO 3166-1 code such as 'DE'; did you mean 'GB'?",
            ),
            (f"{OF_CALENDAR}/holidays/0", "'2027-02-29' is not a date such as 2026-12-24"),
            (
                f"{OF_CALENDAR}/weekend/1",
                "must be one of monday, tuesday, wednesday, thursday, friday, saturday, sunday",
            ),
        ]

    def test_a_convention_is_required(self) -> None:
        assert problems(changed(OF_CALENDAR, {"country": "DE"})) == [
            Problem(pointer=f"{OF_CALENDAR}/convention", rule="required", message="is required")
        ]

    def test_a_weekend_of_seven_days_is_refused(self) -> None:
        assert problems(given_at(OF_CALENDAR, weekend=[day.value for day in Weekday])) == [
            Problem(
                pointer=f"{OF_CALENDAR}/weekend",
                rule="too-many",
                message="must hold at most 6 values: one day must be left",
            )
        ]

    def test_an_unknown_subdivision_is_refused(self) -> None:
        (problem,) = problems(given_at(OF_CALENDAR, country="US", subdivision="BY"))
        assert (problem.pointer, problem.rule) == (f"{OF_CALENDAR}/subdivision", "subdivision")
        assert problem.message.startswith("'BY' is not a subdivision of US; there are AK, AL, AR, ")

    def test_a_subdivision_needs_a_country(self) -> None:
        assert problems(given_at(OF_CALENDAR, subdivision="BY")) == [
            Problem(
                pointer=f"{OF_CALENDAR}/subdivision",
                rule="exclusive",
                message="must not be given without a country",
            )
        ]

    def test_a_subdivision_of_an_unknown_country_is_one_problem(self) -> None:
        assert broken_rules(given_at(OF_CALENDAR, country="XX", subdivision="BY")) == [
            (f"{OF_CALENDAR}/country", "country")
        ]
        assert broken_rules(given_at(OF_CALENDAR, country="", subdivision="BY")) == [
            (f"{OF_CALENDAR}/country", "empty")
        ]

    def test_at_most_400_holidays(self) -> None:
        days = [date.fromordinal(738_000 + day).isoformat() for day in range(401)]
        assert problems(given_at(OF_CALENDAR, holidays=days[:400])) == []
        assert problems(given_at(OF_CALENDAR, holidays=days)) == [
            Problem(pointer=f"{OF_CALENDAR}/holidays", rule="too-many", message="must hold at most 400 dates")
        ]

    @pytest.mark.parametrize("pointer", PLACES)
    def test_each_place_is_checked(self, pointer: str) -> None:
        assert broken_rules(given_at(pointer, country="XX")) == [(f"{pointer}/country", "country")]


class TestRetries:
    """A retry is never earlier than its delay, so that it only moves to a later day."""

    @pytest.mark.parametrize("pointer", [OF_RETRY_AFTER, OF_RETRY_STRATEGY])
    @pytest.mark.parametrize("convention", ["preceding", "modifiedFollowing", "skip"])
    def test_another_convention_than_following_is_refused(self, pointer: str, convention: str) -> None:
        assert problems(given_at(pointer, convention=convention)) == [
            Problem(
                pointer=f"{pointer}/convention",
                rule="enum",
                message="must be following: a retry is neither earlier than its delay nor left out",
            )
        ]

    @pytest.mark.parametrize("convention", list(Convention))
    def test_a_leading_up_task_may_have_each_convention(self, convention: Convention) -> None:
        assert problems(given_at(OF_LEADING_UP, convention=convention.value)) == []


class TestOtherDistances:
    """No other distance has business days; they are refused, not ignored."""

    @pytest.mark.parametrize(
        ("pointer", "value"),
        [
            ("/schedule/initialDelay", {}),
            ("/schedule/calendars/0/scheduleAfter", {}),
            ("/onCreateTasks", {"task": "bill"}),
            ("/onCancelTasks", {"task": "bill"}),
            ("/tasks/0/steps/0/delay", {}),
            ("/tasks/0/steps/0/waitForAnswer", {}),
            ("/services/0/methods/0/answerWithin", {}),
        ],
    )
    def test_another_distance_is_refused_with_them(self, pointer: str, value: dict[str, Any]) -> None:
        delta = {**DAY, "businessDays": {"convention": "following"}}
        settings = changed(pointer, [{**value, "delayBy": delta}] if value else delta)
        settings["services"][0]["methods"][0]["async"] = pointer.endswith("answerWithin")
        found = [problem for problem in problems(settings) if problem.pointer.endswith("/businessDays")]

        assert found == [
            Problem(
                pointer=f"{pointer}/0/delayBy/businessDays" if value else f"{pointer}/businessDays",
                rule="exclusive",
                message="is only for scheduleBefore and retryAfter; cycles have the businessDays of their calendar",
            )
        ]


class TestStored:
    """Stored settings are read without the holiday data."""

    def test_a_country_that_the_data_has_lost_is_an_error_only_when_a_date_is_computed(self) -> None:
        settings = given_at(OF_CALENDAR, country="XX")

        rule = stored_definition(settings).calendars[0].business_days

        assert rule == BusinessDays(convention=Convention.FOLLOWING, country="XX")
