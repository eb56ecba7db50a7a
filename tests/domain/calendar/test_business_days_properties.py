"""Properties of business-day conventions in every zone, and comparison with the holiday package's own arithmetic."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.calendar.business_days import BusinessDays, Convention, Weekday, adjust
from shared.domain.calendar.dates import Anchor, Moment, moment_of, zone_named
from shared.domain.calendar.public_holidays import holiday_name
from tests.domain.calendar.test_dates_properties import instants, zones

QUICK = settings(max_examples=300, deadline=None)
WEEK = tuple(Weekday)
PLACES = [(None, None), ("DE", None), ("DE", "BY"), ("US", "CA"), ("AE", None), ("JP", None)]


@st.composite
def cases(draw: st.DrawFn) -> tuple[BusinessDays, Moment, ZoneInfo, frozenset[date]]:
    """Return a rule, a moment in a zone, and closed dates near it."""
    zone, at = draw(zones), draw(instants)
    near = at.astimezone(zone).date()
    dates = st.frozensets(st.integers(-20, 20).map(lambda days: near + timedelta(days=days)), max_size=20)
    country, subdivision = draw(st.sampled_from(PLACES))
    rule = BusinessDays(
        convention=draw(st.sampled_from(Convention)),
        weekend=draw(st.frozensets(st.sampled_from(Weekday), max_size=6)),
        country=country,
        subdivision=subdivision,
        holidays=draw(dates),
    )
    anchor = Anchor(
        year=near.year,
        month=near.month,
        day=draw(st.integers(1, 31)),
        hour=draw(st.integers(0, 24)),
        minute=draw(st.integers(0, 59)),
    )
    return rule, moment_of(anchor, zone), zone, draw(dates)


def is_business_day(rule: BusinessDays, day: date, closed: frozenset[date]) -> bool:
    return (
        WEEK[day.weekday()] not in rule.weekend
        and day not in rule.holidays | closed
        and (rule.country is None or holiday_name(rule.country, rule.subdivision, day) is None)
    )


def shown(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()


@given(cases())
@QUICK
def test_the_result_is_the_nearest_business_day_in_its_direction(
    case: tuple[BusinessDays, Moment, ZoneInfo, frozenset[date]],
) -> None:
    rule, moment, zone, closed = case
    before = shown(moment.at, zone)
    adjusted = adjust(rule, moment, zone, closed=closed)

    assert (adjusted.why is None) == is_business_day(rule, before, closed)
    if adjusted.why is None:
        assert adjusted.at == moment.at
        return
    assert (adjusted.at is None) == (rule.convention is Convention.SKIP)
    if adjusted.at is None:
        return
    after = shown(adjusted.at, zone)
    assert is_business_day(rule, after, closed)
    assert abs(after - before) <= timedelta(days=1000)
    if rule.convention is Convention.FOLLOWING:
        assert adjusted.at > moment.at
    if rule.convention is Convention.PRECEDING:
        assert adjusted.at < moment.at
    first, last = sorted((before, after))
    between = (first + timedelta(days=day) for day in range(1, (last - first).days))
    assert not any(is_business_day(rule, day, closed) for day in between)


@given(cases())
@QUICK
def test_an_adjusted_date_is_adjusted_no_further(
    case: tuple[BusinessDays, Moment, ZoneInfo, frozenset[date]],
) -> None:
    rule, moment, zone, closed = case
    once = adjust(rule, moment, zone, closed=closed).at
    if once is not None:
        assert adjust(rule, Moment(at=once, anchor=moment.anchor), zone, closed=closed).at == once


@given(cases())
@QUICK
def test_modified_following_stays_in_its_month_if_that_has_a_business_day(
    case: tuple[BusinessDays, Moment, ZoneInfo, frozenset[date]],
) -> None:
    given_rule, moment, zone, closed = case
    rule = BusinessDays(
        convention=Convention.MODIFIED_FOLLOWING,
        weekend=given_rule.weekend,
        country=given_rule.country,
        subdivision=given_rule.subdivision,
        holidays=given_rule.holidays,
    )
    at = adjust(rule, moment, zone, closed=closed).at
    assert at is not None
    before = shown(moment.at, zone)
    month = [before.replace(day=1) + timedelta(days=day) for day in range(31)]
    if any(day.month == before.month and is_business_day(rule, day, closed) for day in month):
        assert shown(at, zone).month == before.month


@pytest.mark.parametrize(("country", "subdivision"), [("DE", None), ("DE", "BY"), ("US", "CA"), ("FR", None)])
def test_following_and_preceding_are_those_of_the_package(country: str, subdivision: str | None) -> None:
    peer = holidays.country_holidays(country, subdiv=subdivision, language="en_US")
    utc = zone_named("UTC")
    moved = 0
    for ordinal in range(date(2025, 1, 1).toordinal(), date(2030, 1, 1).toordinal()):
        day = date.fromordinal(ordinal)
        moment = moment_of(Anchor(year=day.year, month=day.month, day=day.day, hour=9), utc)
        for convention, step in ((Convention.FOLLOWING, 1), (Convention.PRECEDING, -1)):
            rule = BusinessDays(convention=convention, country=country, subdivision=subdivision)
            at = adjust(rule, moment, utc).at
            assert at is not None
            wanted = day if peer.is_working_day(day) else peer.get_nth_working_day(day, step)
            assert at.date() == wanted
            moved += wanted != day
    assert moved > 1000
