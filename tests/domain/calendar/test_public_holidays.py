"""The data of public holidays: names, places, observed days, and how far it reaches."""

import sys
import time
import warnings
from datetime import date
from importlib.metadata import version

import pytest
from holidays import HolidayBase, country_holidays
from holidays.registry import COUNTRIES

from shared.adapters.threads import ThreadWorkers
from shared.domain.calendar.public_holidays import (
    country_problem,
    holiday_data_version,
    holiday_name,
    last_year_of,
    subdivision_problem,
)
from shared.domain.errors import DateError
from tests.programs import output_of


class TestThreads:
    """Bulk operations plan dates in several threads."""

    def test_a_year_is_complete_for_every_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        holiday_name("NO", None, date(2046, 12, 25))
        populate = HolidayBase._populate

        def slowly(calendar: HolidayBase, year: int) -> None:
            time.sleep(0.02)  # so that all threads come meanwhile
            populate(calendar, year)

        monkeypatch.setattr(HolidayBase, "_populate", slowly)

        names = ThreadWorkers(8).run(lambda day: holiday_name("NO", None, day), [date(2047, 12, 25)] * 8)

        assert names == ["Christmas Day"] * 8


class TestNames:
    """Names are English, whatever the country's language."""

    @pytest.mark.parametrize(
        ("country", "day", "name"),
        [
            ("DE", date(2026, 10, 3), "German Unity Day"),
            ("JP", date(2027, 1, 1), "New Year's Day"),
            ("BR", date(2026, 9, 7), "Independence Day"),
            ("NZ", date(2026, 2, 6), "Waitangi Day"),
            ("US", date(2027, 7, 5), "Independence Day (observed)"),
            # New Year's Day of the year after, observed in this one
            ("US", date(2027, 12, 31), "New Year's Day (observed)"),
            ("DE", date(2026, 10, 2), None),
        ],
    )
    def test_a_holiday_has_a_name(self, country: str, day: date, name: str | None) -> None:
        assert holiday_name(country, None, day) == name

    def test_two_holidays_on_one_day_are_joined(self) -> None:
        # 5 May 2025 is Buddha's Birthday and Children's Day.
        assert holiday_name("KR", None, date(2025, 5, 5)) == "Buddha's Birthday and Children's Day"

    def test_the_language_of_the_environment_changes_nothing(self) -> None:
        program = (
            "from datetime import date\n"
            "from shared.domain.calendar.public_holidays import holiday_name\n"
            "print(holiday_name('DE', 'BY', date(2026, 12, 25)))\n"
        )
        thai = {"LANGUAGE": "th", "LANG": "th_TH.UTF-8", "LC_ALL": "th_TH.UTF-8"}
        assert output_of([sys.executable, "-c", program], environment=thai) == "Christmas Day\n"

    def test_a_year_does_not_depend_on_earlier_lookups(self) -> None:
        days = [date(2031, 12, 25), date(2026, 12, 25), date(2031, 12, 26)]

        assert [holiday_name("GB", "ENG", day) for day in days] == [
            "Christmas Day",
            "Christmas Day",
            "Boxing Day",
        ]


class TestPlaces:
    """Countries are codes of ISO 3166-1; near misses are suggested."""

    @pytest.mark.parametrize("country", ["DE", "US", "GB", "AX", "XK"])
    def test_a_country_of_the_data_is_accepted(self, country: str) -> None:
        assert country_problem(country) is None

    @pytest.mark.parametrize(
        ("country", "hint"),
        [
            ("XX", ""),
            ("UK", "; did you mean 'GB'?"),
            ("de", "; did you mean 'DE'?"),
            ("DEU", "; did you mean 'DE'?"),
            ("Germany", "; did you mean 'DE'?"),
            ("Swizerland", "; did you mean 'CH'?"),
            ("utils", ""),
        ],
    )
    def test_another_text_is_refused(self, country: str, hint: str) -> None:
        assert country_problem(country) == (
            f"{country!r} is not a country of the holiday data; it is an ISO 3166-1 code such as 'DE'{hint}"
        )

    def test_a_subdivision_of_the_country_is_accepted(self) -> None:
        assert subdivision_problem("DE", "BY") is None
        assert subdivision_problem("US", "CA") is None

    @pytest.mark.parametrize(
        ("subdivision", "hint"),
        [
            ("DE-BY", "; did you mean 'BY'?"),
            ("by", "; did you mean 'BY'?"),
            ("Bayern", "; did you mean 'BY'?"),
            ("CA", ""),
        ],
    )
    def test_another_subdivision_is_refused(self, subdivision: str, hint: str) -> None:
        assert subdivision_problem("DE", subdivision) == (
            f"{subdivision!r} is not a subdivision of DE{hint}; there are BB, BE, BW, BY, HB, HE, HH, MV, NI, NW, RP,"
            " SH, SL, SN, ST, TH, Augsburg"
        )

    def test_a_country_without_subdivisions_has_none(self) -> None:
        assert subdivision_problem("JP", "13") == "the holiday data of JP has no subdivisions"

    @pytest.mark.parametrize(("country", "subdivision"), [("XX", None), ("de", None), ("DE", "CA")])
    def test_looking_up_an_unknown_place_is_an_error(self, country: str, subdivision: str | None) -> None:
        with pytest.raises(DateError, match="is not a"):
            holiday_name(country, subdivision, date(2026, 12, 25))


class TestTheData:
    """The data has a version, and an end."""

    def test_the_version_is_that_of_the_package(self) -> None:
        assert holiday_data_version() == version("holidays")

    def test_dates_end_with_a_year(self) -> None:
        assert last_year_of("DE") == 2100
        assert last_year_of("IN") == 2035
        assert last_year_of("XX") is None

    def test_no_other_country_says_that_a_year_is_beyond_its_data(self) -> None:
        """The package warns about such years, and the lookup says nothing."""
        incomplete = []
        for _, code, *_ in COUNTRIES.values():
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                country_holidays(code).get(date(2040, 6, 1))
            if said:
                incomplete.append((code, last_year_of(code)))
            holiday_name(code, None, date(2040, 6, 1))
        assert incomplete == [("IN", 2035)]
        assert holiday_name("DE", None, date(2100, 12, 25)) == "Christmas Day"
        assert holiday_name("DE", None, date(2101, 12, 25)) is None

    def test_the_first_lookup_loads_the_package(self) -> None:
        program = (
            "import sys\n"
            "from datetime import date\n"
            "from shared.domain.calendar.business_days import BusinessDays, Convention, adjust\n"
            "from shared.domain.calendar.dates import Anchor, moment_of, zone_named\n"
            "utc = zone_named('UTC')\n"
            "moment = moment_of(Anchor(year=2027, month=1, day=2), utc)\n"
            "adjust(BusinessDays(convention=Convention.FOLLOWING), moment, utc)\n"
            "print('holidays' in sys.modules)\n"
            "adjust(BusinessDays(convention=Convention.FOLLOWING, country='DE'), moment, utc)\n"
            "print('holidays' in sys.modules)\n"
        )
        assert output_of([sys.executable, "-c", program], environment={}) == "False\nTrue\n"
