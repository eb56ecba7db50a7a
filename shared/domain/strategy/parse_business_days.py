"""Parsing ``businessDays``: of a calendar, of a leading-up task's distance, and of a retry's delay.

Source: docs/design.md section 4; docs/decisions/0058-business-days-come-from-the-holidays-package.md
"""

from functools import partial

from shared.domain.calendar.business_days import WEEKEND, BusinessDays, Convention, Weekday
from shared.domain.calendar.public_holidays import country_problem, subdivision_problem
from shared.domain.strategy.reader import Reader


def business_days(reader: Reader) -> BusinessDays:
    """Read which days are business days, and the convention."""
    weekend = reader.optional_choices("weekend", Weekday)
    country, subdivision = reader.optional_text("country"), reader.optional_text("subdivision")
    if country is not None:
        # Loads the holiday data, so not for stored settings. A place that the data has lost fails when it is used.
        reader.later(partial(_check_place, reader, country, subdivision))
    if reader.has("subdivision") and not reader.has("country"):
        reader.problem("subdivision", "exclusive", "must not be given without a country")
    return BusinessDays(
        convention=reader.choice("convention", Convention),
        weekend=WEEKEND if weekend is None else weekend,
        country=country,
        subdivision=subdivision,
        holidays=reader.dates("holidays"),
        closed=reader.optional_text("closed"),
    )


def business_days_of_retry(reader: Reader) -> BusinessDays:
    """Read the business days of a retry's delay, which only ``following`` can move."""
    rule = business_days(reader)
    # An earlier day would be before the failure, and the retry would then run at once, on no business day.
    if rule.convention is not Convention.FOLLOWING:
        message = "must be following: a retry is neither earlier than its delay nor left out"
        reader.problem("convention", "enum", message)
    return rule


def _check_place(reader: Reader, country: str, subdivision: str | None) -> None:
    problem = country_problem(country)
    if problem is not None:
        reader.problem("country", "country", problem)
    elif subdivision is not None and (problem := subdivision_problem(country, subdivision)) is not None:
        reader.problem("subdivision", "subdivision", problem)
