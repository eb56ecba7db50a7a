"""The host functions of 8x8's scripts, called as users call them. Source: docs/contracts/automation.md A.2."""

from zoneinfo import ZoneInfo

import pytest

from shared.expressions import EvaluationError, ResultType, Variables, VariableType, evaluate
from shared.expressions.phone_numbers import COUNTRY_OF
from shared.expressions.windows_zones import IANA_OF, WINDOWS_ZONES

VARIABLES: Variables = {"text": VariableType.STRING, "any": VariableType.ANY}


def value_of(source: str, **context: object) -> object:
    return evaluate(source, context, variables=VARIABLES, returns=ResultType.ANY)


def refusal(source: str, **context: object) -> str:
    with pytest.raises(EvaluationError) as caught:
        value_of(source, **context)
    return caught.value.message


class TestStringContains:
    """Whether a text contains another; case matters unless it is to be ignored."""

    @pytest.mark.parametrize(
        ("arguments", "found"),
        [
            ("'hello, world', 'wor'", True),
            ("'hello, world', 'WOR'", False),
            ("'hello, world', 'WOR', false", False),
            ("'hello, world', 'WOR', true", True),
            ("'STRASSE', 'straße', true", True),
            ("'abc', ''", True),
            ("'', 'a'", False),
        ],
    )
    def test_a_text_contains_another_text(self, arguments: str, *, found: bool) -> None:
        assert value_of(f"stringContains({arguments})") is found

    def test_values_that_are_no_text_are_refused(self) -> None:
        assert "stringContains" in refusal("stringContains(any, 'a')", any=7.0)


class TestIsTimeOfDayBetween:
    """Both times are inclusive, to the second, in the zone. If the first is later, the span crosses midnight."""

    @pytest.mark.parametrize(
        ("at", "first", "last", "zone", "found"),
        [
            # The vendor's own example: 07:40 UTC is 15:40 in Singapore.
            ("2020-10-15T14:40:15+07:00", "09:00:00", "18:00:00", "Singapore Standard Time", True),
            ("2020-10-15T14:40:15+07:00", "00:00:00", "08:59:59", "Singapore Standard Time", False),
            ("2020-10-15T14:40:15+07:00", "18:00:01", "23:59:59", "Singapore Standard Time", False),
            ("2020-10-15T09:00:00Z", "09:00", "18:00", "UTC", True),
            ("2020-10-15T18:00:00.999Z", "09:00", "18:00", "UTC", True),
            ("2020-10-15T18:00:01Z", "09:00", "18:00", "UTC", False),
            ("2020-10-15T08:59:59.999Z", "09:00", "18:00", "UTC", False),
            ("2020-10-15T10:00:00", "09:00", "18:00", "UTC", True),
            ("2021-06-30T03:20:39.3857479Z", "05:20:39", "05:20:39", "W. Europe Standard Time", True),
            ("2021-01-30T03:20:39Z", "04:20:39", "04:20:39", "Europe/Berlin", True),
            ("2020-10-15T23:30:00Z", "22:00", "06:00", "UTC", True),
            ("2020-10-15T05:30:00Z", "22:00", "06:00", "UTC", True),
            ("2020-10-15T12:00:00Z", "22:00", "06:00", "UTC", False),
        ],
    )
    def test_an_instant_is_within_the_times_of_its_zone(
        self, at: str, first: str, last: str, zone: str, *, found: bool
    ) -> None:
        assert value_of(f"isTimeOfDayBetween('{at}', '{first}', '{last}', '{zone}')") is found

    @pytest.mark.parametrize(
        ("arguments", "why"),
        [
            ("'yesterday', '09:00', '18:00', 'UTC'", "'yesterday' is not a date and time in ISO 8601"),
            ("'" + "2" * 65 + "', '09:00', '18:00', 'UTC'", "is not a date and time in ISO 8601"),
            ("'2020-10-15T09:00:00Z', '9', '18:00', 'UTC'", "'9' is not a time of day such as 09:00:00"),
            (
                "'2020-10-15T09:00:00Z', '09:00', '24:00', 'UTC'",
                "'24:00' is not a time of day such as 09:00:00",
            ),
            ("'2020-10-15T09:00:00Z', '09:00', '18:00', 'Nowhere'", "unknown time zone 'Nowhere'"),
            (
                "'0001-01-01T00:00:00Z', '09:00', '18:00', 'Hawaiian Standard Time'",
                "outside the years 1 to 9999",
            ),
        ],
    )
    def test_invalid_arguments_are_refused(self, arguments: str, why: str) -> None:
        assert why in refusal(f"isTimeOfDayBetween({arguments})")


class TestIsDayOfWeek:
    """The weekday of a date, or of an instant as written, in any case."""

    @pytest.mark.parametrize(
        ("on", "day", "found"),
        [
            ("2021-05-25", "Tuesday", True),
            ("2021-05-25", "tuesday", True),
            ("2021-05-25", "TUESDAY", True),
            ("2021-05-25", "Monday", False),
            ("2021-05-30", "Sunday", True),
            ("2021-05-25T23:59:59-10:00", "Tuesday", True),
            ("2021-05-25T23:59:59Z", "Tuesday", True),
            ("2021-05-25T00:30:00+14:00", "Tuesday", True),
        ],
    )
    def test_a_date_has_its_weekday(self, on: str, day: str, *, found: bool) -> None:
        assert value_of(f"isDayOfWeek('{on}', '{day}')") is found

    @pytest.mark.parametrize(
        ("arguments", "why"),
        [
            ("'2021-02-30', 'Monday'", "'2021-02-30' is not a date"),
            ("'soon', 'Monday'", "'soon' is not a date and time in ISO 8601"),
            ("'2021-05-25', 'Mon'", "'Mon' is not a day of the week"),
        ],
    )
    def test_invalid_days_are_refused(self, arguments: str, why: str) -> None:
        assert refusal(f"isDayOfWeek({arguments})") == f"isDayOfWeek: {why}"


class TestIsCountryCode:
    """The country of a number's numbering plan; the number may be written in several ways."""

    @pytest.mark.parametrize(
        ("number", "country", "found"),
        [
            ("+6512345678", "SG", True),
            ("+6512345678", "sg", True),
            ("+6512345678", "MY", False),
            ("6512345678", "SG", True),
            ("006512345678", "SG", True),
            ("+65 1234-56.78", "SG", True),
            ("+1 (212) 555-0100", "US", True),
            ("+1 (212) 555-0100", "CA", False),
            ("+1 416 555 0100", "CA", True),
            ("+1 416 555 0100", "US", False),
            ("+1 876 555 0100", "JM", True),
            ("+1 787 555 0100", "PR", True),
            ("+447911123456", "GB", True),
            ("+4915112345678", "DE", True),
            ("+79161234567", "RU", True),
            ("+77011234567", "KZ", True),
            ("+77011234567", "RU", False),
            ("+639171234567", "PH", True),
            ("+59991234567", "CW", True),
            ("+5993181234", "BQ", True),
            ("+383441234567", "XK", True),
            ("+2010012345", "EG", True),
            ("+211912345678", "SS", True),
            ("+99912345678", "US", False),
            ("12", "US", False),
            ("", "US", False),
            ("hello", "US", False),
            ("+6512345678" + "9" * 60, "SG", False),
        ],
    )
    def test_a_number_has_its_country(self, number: str, country: str, *, found: bool) -> None:
        assert value_of(f"isCountryCode('{number}', '{country}')") is found

    @pytest.mark.parametrize("country", ["", "S", "SGP", "65"])
    def test_texts_that_are_no_country_are_refused(self, country: str) -> None:
        assert "a country has two letters" in refusal(f"isCountryCode('+6512345678', '{country}')")

    def test_the_country_table_is_well_formed(self) -> None:
        """Every prefix consists of digits and every country of two letters; most countries are listed."""
        assert all(
            one.isdigit() and country.isalpha() and len(country) == 2 for one, country in COUNTRY_OF.items()
        )
        assert len(set(COUNTRY_OF.values())) == 234
        assert not any(one.startswith("0") for one in COUNTRY_OF)


class TestUuid:
    """A UUID of version 8 derived from a text."""

    def test_a_uuid_depends_only_on_its_text(self) -> None:
        first, again, other = (value_of(f"uuid('{text}')") for text in ("a", "a", "b"))

        assert first == again == "ca978112-ca1b-8dca-bac2-31b39a23dc4d"
        assert other == "3e23e816-0039-894a-b389-4f6564e1b134"


class TestWindowsZones:
    """Each Windows id maps to an existing IANA zone."""

    def test_every_zone_can_be_loaded(self) -> None:
        for zone in WINDOWS_ZONES:
            assert ZoneInfo(zone.iana).key == zone.iana, zone.id

    def test_ids_are_unique_and_in_order(self) -> None:
        ids = [zone.id for zone in WINDOWS_ZONES]

        assert ids == sorted(set(ids))
        assert len(IANA_OF) == len(ids) == 142

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("UTC", "Coordinated Universal Time (UTC)"),
            ("India Standard Time", "Chennai, Kolkata, Mumbai, New Delhi (UTC+05:30)"),
            ("Newfoundland Standard Time", "Newfoundland (UTC-03:30)"),
            ("Alberta Standard Time", "Alberta (UTC-06:00)"),
            ("British Columbia Standard Time", "British Columbia (UTC-07:00)"),
            ("Manitoba Standard Time", "Manitoba (UTC-05:00)"),
        ],
    )
    def test_zones_have_their_display_names(self, name: str, shown: str) -> None:
        assert next(zone.name for zone in WINDOWS_ZONES if zone.id == name) == shown
