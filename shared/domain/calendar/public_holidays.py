"""Public holidays of countries and their subdivisions, from the data of the ``holidays`` package.

Dates are computed by rule, so they are known until the year 2100, except where ``last_year_of`` says otherwise.
Yearly decisions of a government (extra days off, moon sightings) are known as of the package's version.
Source: docs/decisions/0058-business-days-come-from-the-holidays-package.md
"""

import warnings
from collections.abc import Iterable, Mapping
from datetime import date
from difflib import get_close_matches
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from shared.domain.errors import DateError

if TYPE_CHECKING:
    from holidays import HolidayBase

_EVER = 9999

_one_at_a_time = Lock()

_INCOMPLETE_AFTER = {"IN": 2035}
"""The last year of a country whose holidays are only listed until then, although some go on."""

# The package takes 14 ms of processor time to import and 30 ms more with the first country (90 ms outside the layer).
# Every import below is therefore inside a function: functions whose strategies have no business days do not pay for it.


def holiday_data_version() -> str:
    """Return the version of the holiday data, which is that of the package."""
    from holidays.version import __version__  # noqa: PLC0415 - see above

    return __version__


def holiday_name(country: str, subdivision: str | None, day: date) -> str | None:
    """Return the English name of a day's public holiday in a country, or None if it is none.

    Without a subdivision, only the holidays of the whole country count. A day on which a holiday is observed instead
    of its own date is a holiday. Two on the same day are joined by "and".
    Raises: DateError: if the data does not have the country or the subdivision.
    """
    # The package marks a year as computed before it computes it: another thread would find no holidays in it.
    # Filters of warnings belong to the whole process, too.
    with _one_at_a_time, warnings.catch_warnings():
        # That a year is beyond the data is said when settings are saved.
        warnings.simplefilter("ignore")
        name = _calendar_of(country, subdivision).get(day)
    return None if name is None else " and ".join(name.split("; "))


def last_year_of(country: str) -> int | None:
    """Return the last year of a country's holidays, or None if the data does not have the country.

    Later days are no holidays, or not all of those that are.
    """
    if country_problem(country):
        return None
    return min(int(_calendar_of(country, None).end_year), _INCOMPLETE_AFTER.get(country, _EVER))


def country_problem(country: str) -> str | None:
    """Return why a text is not a country of the data, or None if it is one."""
    codes = _codes()
    if country in codes.values():
        return None
    hint = _did_you_mean(country, codes)
    return f"{country!r} is not a country of the holiday data; it is an ISO 3166-1 code such as 'DE'{hint}"


def subdivision_problem(country: str, subdivision: str) -> str | None:
    """Return why a text is not a subdivision of a country of the data, or None if it is one.

    Raises: DateError: if the data does not have the country.
    """
    calendar = _calendar_of(country, None)
    known = {code: code for code in calendar.subdivisions}
    if subdivision in known:
        return None
    if not known:
        return f"the holiday data of {country} has no subdivisions"
    names = {f"{country}-{code}": code for code in known} | dict(calendar.subdivisions_aliases) | known
    hint = _did_you_mean(subdivision, names)
    return f"{subdivision!r} is not a subdivision of {country}{hint}; there are {', '.join(known)}"


# A year of a country is some kilobytes. One process sees the countries of a few strategies.
@lru_cache(maxsize=64)
def _calendar_of(country: str, subdivision: str | None) -> "HolidayBase":
    """Return the holidays of a place by date. It computes each year when a date of it is first looked up."""
    problem = country_problem(country) or (subdivision and subdivision_problem(country, subdivision))
    if problem:
        raise DateError(problem)
    from holidays import country_holidays  # noqa: PLC0415 - see above

    # Without a language, the package reads that of the environment.
    return country_holidays(country, subdiv=subdivision, language="en_US")


@lru_cache(maxsize=1)
def _codes() -> Mapping[str, str]:
    """Return the two-letter code of each country by its names: the code itself, three letters, English name."""
    from holidays.registry import COUNTRIES  # noqa: PLC0415 - see above

    return {name: names[1] for names in COUNTRIES.values() for name in names}


def _did_you_mean(text: str, codes: Mapping[str, str]) -> str:
    folded = _folded(codes)
    close = get_close_matches(text.casefold(), folded, n=1, cutoff=0.8)
    return f"; did you mean {codes[folded[close[0]]]!r}?" if close else ""


def _folded(names: Iterable[str]) -> dict[str, str]:
    return {name.casefold(): name for name in names}
