"""A zone per customer. Source: docs/design.md section 4; docs/decisions/0060."""

import pytest
from msgspec.structs import replace

from shared.domain.calendar.dates import ResetTo, Unit, moment_at
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.errors import DateError, InvalidInputError, Problem
from shared.domain.instance.attributes import attribute_problem
from shared.domain.instance.model import Instance
from shared.domain.instance.scope import scope
from shared.domain.instance.verdict import RefusalRule, Refused
from shared.domain.instance.zone import own_zone, zone_of
from shared.domain.lifecycle.apply_directives import apply_directives
from shared.domain.lifecycle.commands import Migrate, Update
from shared.domain.planning.cycles import CycleError, first_cycle, following
from shared.domain.planning.forecast import simulate
from shared.domain.planning.plan import shift
from shared.domain.planning.start import NewInstance, blank_instance
from shared.domain.steps.directives import DirectiveError, check_directives
from shared.domain.steps.retry import computed_after
from shared.domain.strategy.model import Delta, Json, Strategy
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    HOURLY,
    at,
    by_cron,
    calendar,
    life,
    new,
    reminded,
    shown,
    strategy,
)

OF_CUSTOMER = "{{attributes.timezone}}"
TEN = {"unit": "months", "amount": 1, "resetTo": {"hour": 10}}
AT_NINE = Delta(unit=Unit.DAYS, amount=1, reset_to=ResetTo(hour=9, minute=0))
BUSINESS: Json = {"convention": "following"}


def zoned(*calendars: Json, **members: Json) -> Strategy:
    """Return a strategy whose zone is an attribute."""
    return strategy(*calendars, timezone=OF_CUSTOMER, **members)


def problems(of: Strategy, request: NewInstance) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInputError) as refused:
        life(of, request)
    return [(problem.pointer, problem.message) for problem in refused.value.problems]


class TestDating:
    """The attribute names the zone of all dates of an instance."""

    @pytest.mark.parametrize(
        ("zone", "dates"),
        [
            ("Europe/Berlin", ["2026-01-31T09:00", "2026-02-28T09:00", "2026-03-31T08:00"]),
            ("Asia/Manila", ["2026-01-31T02:00", "2026-02-28T02:00", "2026-03-31T02:00"]),
        ],
    )
    @pytest.mark.parametrize("one", [calendar(TEN), by_cron("0 0 10 L * ?")])
    def test_each_customer_has_a_plan_in_the_own_zone(self, zone: str, dates: list[str], one: Json) -> None:
        of = zoned(one, initial_delay={"unit": "days", "amount": 0, "resetTo": {"hour": 10}})
        found = simulate(of, start_date=at("2026-01-31"), cycles=3, attributes={"timezone": zone})
        assert shown(*(cycle.main.date for cycle in found.cycles)) == dates

    def test_business_days_and_reminders_are_those_of_the_zone(self) -> None:
        of = zoned(reminded(days=1, businessDays=BUSINESS))
        # Friday evening in New York is Saturday in Manila.
        start = at("2026-02-06T23:00")
        manila = simulate(of, start_date=start, cycles=1, attributes={"timezone": "Asia/Manila"}).cycles[0]
        york = simulate(of, start_date=start, cycles=1, attributes={"timezone": "America/New_York"}).cycles[0]
        assert shown(manila.main.date, york.main.date) == ["2026-02-08T23:00", "2026-02-06T23:00"]

    def test_a_date_that_an_attribute_holds_begins_its_day_in_the_zone(self) -> None:
        of = zoned(initial_delay={"unit": "days", "amount": 0, "from": "due"})
        lived = life(of, new(due="2026-02-10", timezone="Asia/Manila"))
        assert lived.open == [("bill", "2026-02-09T16:00")]

    @pytest.mark.parametrize(("named", "date"), [(None, "2026-02-01T01:00"), ("UTC", "2026-01-31T09:00")])
    def test_an_own_schedule_keeps_the_zone_that_it_names(self, named: str | None, date: str) -> None:
        own = OwnSchedule(cron="0 0 9 * * ?", timezone=named)
        lived = life(zoned(), replace(new("2026-01-31T02:00", timezone="Asia/Manila"), schedule=own))
        assert lived.open == [("bill", date)]

    def test_retries_count_in_the_zone(self) -> None:
        of = zoned()
        lived = life(of, new(timezone="Asia/Manila"))
        due = computed_after(
            of, lived.instance, AT_NINE, scope(of, lived.instance, now=at("2026-01-31")), now=at("2026-01-31")
        )
        assert (shown(due.at or at("2000-01-01")), due.note) == (["2026-02-01T01:00"], None)


class TestChecks:
    """An instance has a zone from its creation on, whatever changes its attributes."""

    MISSING = "attribute 'timezone' is not the name of a time zone such as Europe/Madrid"
    WRONG = "attribute 'timezone': 'Mars/Olympus' is not a time zone of the IANA database"

    @pytest.mark.parametrize(
        ("attributes", "message"),
        [({}, MISSING), ({"timezone": 7}, MISSING), ({"timezone": "Mars/Olympus"}, WRONG)],
    )
    def test_an_instance_without_a_zone_is_refused(self, attributes: Json, message: str) -> None:
        assert problems(zoned(), new(**attributes)) == [("/attributes/timezone", message)]

    def test_the_problem_is_reported_with_all_others(self) -> None:
        of = zoned(initial_delay={"unit": "days", "amount": 0, "from": "due"})
        found = problems(of, new("2026-02-01", end_date="2026-01-31", due="soon", timezone="Mars/Olympus"))
        assert [pointer for pointer, _ in found] == ["/attributes/timezone", "/attributes/due", "/endDate"]

    def test_a_simulation_without_a_zone_is_refused(self) -> None:
        with pytest.raises(InvalidInputError) as refused:
            simulate(zoned(), start_date=at("2026-01-31"), cycles=1, attributes={})
        pointer = "/attributes/timezone"
        assert refused.value.problems == (Problem(pointer=pointer, rule="zone", message=self.MISSING),)

    @pytest.mark.parametrize("zone", [None, "Mars/Olympus"])
    def test_an_update_that_takes_the_zone_away_is_refused(self, zone: str | None) -> None:
        lived = life(zoned(), new(timezone="Asia/Manila"))
        verdict = lived.decide(Update(by=ANN, attributes={"timezone": zone}), at("2026-02-01"))
        assert isinstance(verdict, Refused)
        assert [problem.pointer for problem in verdict.problems] == ["/attributes/timezone"]

    def test_a_controller_cannot_take_the_zone_away(self) -> None:
        lived = life(zoned(), new(timezone="Asia/Manila"))
        with pytest.raises(DirectiveError, match="attributes: attribute 'timezone': 'Mars'"):
            check_directives(
                lived.strategy, lived.instance, {"attributes": {"timezone": "Mars"}}, now=at("2026-02-01")
            )

    @pytest.mark.parametrize(
        ("attributes", "zone"), [({"timezone": "Asia/Manila"}, "Asia/Manila"), ({}, None)]
    )
    def test_a_directive_that_an_older_version_allowed_keeps_the_zone(
        self, attributes: Json, zone: str | None
    ) -> None:
        lived = life(strategy(), new(**attributes))
        lived.claim(lived.main, at("2026-01-31"))
        ordered = {"attributes": {"timezone": "Mars", "tier": "gold"}}
        change = apply_directives(zoned(), lived.instance, lived.running, ordered, now=at("2026-01-31"))
        assert change.instance.attributes == {"tier": "gold", "timezone": zone or "Mars"}

    def test_a_migration_to_a_zone_that_the_attributes_lack_is_refused(self) -> None:
        lived = life(strategy(), new("2026-02-10"))
        verdict = lived.decide(Migrate(to=zoned(version=2), by=ANN), at("2026-02-01"))
        assert isinstance(verdict, Refused)
        assert (verdict.rule, verdict.why) == (
            RefusalRule.ATTRIBUTES,
            f"the attributes do not fit version 2: {self.MISSING}",
        )

    def test_a_migration_to_another_zone_keeps_planned_dates(self) -> None:
        lived = life(strategy(calendar(TEN)), new("2026-02-10T10:00", timezone="Asia/Manila"))
        to = zoned(calendar(TEN), version=2)
        lived.applied(Migrate(to=to, by=ANN), at("2026-02-01"))
        lived.strategy = to
        assert lived.open == [("bill", "2026-02-10T10:00")]
        lived.run(lived.main, at("2026-02-10T10:00"))
        assert lived.open == [("bill", "2026-03-10T02:00")]

    def test_attributes_with_a_zone_have_no_problem(self) -> None:
        assert attribute_problem(zoned(), {"timezone": "Asia/Manila"}) is None


class TestWithoutAZone:
    """An event that began under another version may meet attributes without a zone; nothing crashes."""

    def lost(self, *calendars: Json) -> tuple[Strategy, Instance]:
        of = zoned(*calendars)
        instance = blank_instance(of, new("2026-01-31"), now=at("2026-01-31"))
        moment = moment_at(at("2026-01-31"), zone_of(strategy(), instance))
        return of, replace(instance, plan=replace(instance.plan, moment=moment))

    @pytest.mark.parametrize(
        "one", [calendar(), calendar(HOURLY, businessDays=BUSINESS), by_cron("0 9 * * *"), calendar(DAILY)]
    )
    def test_no_cycle_is_dated(self, one: Json) -> None:
        of, instance = self.lost(one)
        for date in (first_cycle, following):
            with pytest.raises(CycleError, match="attribute 'timezone' is not the name"):
                date(of, instance, now=at("2026-01-31"))

    def test_no_cycle_is_dated_after_a_change_of_the_zone(self) -> None:
        of, instance = self.lost(calendar())
        instance = replace(instance, plan=replace(instance.plan, dated_in="Asia/Manila"))
        with pytest.raises(CycleError, match="attribute 'timezone' is not the name"):
            following(of, instance, now=at("2026-01-31"))

    def test_no_own_schedule_is_dated(self) -> None:
        of, instance = self.lost()
        plan = replace(instance.plan, schedule=OwnSchedule(cron="0 0 9 * * ?"))
        with pytest.raises(CycleError, match="attribute 'timezone' is not the name"):
            following(of, replace(instance, plan=plan), now=at("2026-01-31"))
        with pytest.raises(DateError):
            own_zone(of, instance, OwnSchedule())

    def test_a_plan_is_not_shifted(self) -> None:
        of, instance = self.lost()
        with pytest.raises(DateError):
            shift(of, instance, at("2026-02-01") - at("2026-01-31"), now=at("2026-02-01"))

    def test_a_retry_counts_in_utc_and_says_so(self) -> None:
        of, instance = self.lost()
        due = computed_after(
            of, instance, AT_NINE, scope(of, instance, now=at("2026-01-31")), now=at("2026-01-31")
        )
        assert shown(due.at or at("2000-01-01")) == ["2026-02-01T09:00"]
        assert due.note == f"timezone: {TestChecks.MISSING}; UTC is used"

    def test_no_event_is_created_on_a_plain_date(self) -> None:
        of, instance = self.lost()
        entry = {"task": "greet", "date": "2026-02-10"}
        with pytest.raises(DirectiveError, match="createEvents: attribute 'timezone' is not the name"):
            check_directives(of, instance, {"createEvents": [entry]}, now=at("2026-01-31"))
